//! Marks: the fence.

use std::sync::Arc;

use async_trait::async_trait;

use super::SqlLog;
use super::columns::SchemaLevel;
use super::dialect::SqlDatabase;
use super::event_state::Mark;
use super::group::{BatchAnswer, UndeliveredMark, send_in_batch};
use super::session::{RequestFailed, Session};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::{Attempt, Attempts};

impl<D: SqlDatabase> SqlLog<D> {
    async fn mark(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let mark = Mark::new(event, Owner::random()?);
        let mut attempt = Attempt::First;
        if self.has_group_commit && self.core.mark_sql().await?.level == SchemaLevel::Full {
            let session = || Session::for_batches(&self.core);
            match send_in_batch(session, &self.groups.marks, mark.clone()).await {
                BatchAnswer::Answer(undelivered) => return Ok(undelivered.into_is_first()),
                BatchAnswer::Failed(error) => return Err(error),
                BatchAnswer::Alone(next) => attempt = next,
            }
        }
        let (core, marks) = (Arc::clone(&self.core), Arc::clone(&self.groups.marks));
        let marking = async move {
            let sql = core.mark_sql().await?;
            UndeliveredMark::make(&core, &marks, sql, mark, Attempts::starting_with(attempt))
                .await
                .map_err(RequestFailed::into_error)
        };
        DetachOnDrop::new(marking).await.map(UndeliveredMark::into_is_first)
    }
}

#[async_trait]
impl<D: SqlDatabase> ProcessedEventLog for SqlLog<D> {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        self.mark(EventRef::new(event_id)?).await
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.mark(event).await
    }

    fn store_id(&self) -> StoreId {
        self.core.store_id
    }
}
