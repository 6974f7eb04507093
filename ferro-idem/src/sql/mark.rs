//! Marks: the fence.

use async_trait::async_trait;

use super::dialect::{Dialect, Mark, SchemaLevel};
use super::group::{Told, UndeliveredMark, share};
use super::request::Marks;
use super::session::{Session, Unanswered};
use super::{SqlLog, Statements};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::owner::Owner;
use crate::retry::Attempts;

impl<D: Dialect> SqlLog<D> {
    async fn mark(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let mark = Mark::new(event, Owner::random()?);
        let mut again = false;
        if self.shares && self.statements().await?.columns == SchemaLevel::Full {
            match share(Session::of_many(self), mark.clone()).await {
                Told::Answer(undelivered) => return Ok(undelivered.into_is_first()),
                Told::Failed(error) => return Err(error),
                Told::Alone { again: may_be_there } => again = may_be_there,
            }
        }
        let log = self.clone();
        let marking = async move {
            let statements = log.statements().await?;
            let marked = log.mark_alone(statements, mark, Attempts::after(again)).await;
            marked.map_err(Unanswered::into_error)
        };
        DetachOnDrop::new(marking).await.map(UndeliveredMark::into_is_first)
    }

    /// In a statement of its own.
    pub(super) async fn mark_alone(
        &self,
        statements: &Statements<D>,
        mark: Mark,
        attempts: Attempts,
    ) -> Result<UndeliveredMark<D>, Unanswered> {
        match Session::of_one(self).ask_after(attempts, statements, &Marks(&[&mark])).await {
            Ok(are_first) if are_first.contains(&true) => Ok(UndeliveredMark::first(self, mark)),
            Ok(_) => Ok(UndeliveredMark::duplicate()),
            Err(unanswered) => {
                UndeliveredMark::given_up(self, mark, &unanswered);
                Err(unanswered)
            }
        }
    }
}

#[async_trait]
impl<D: Dialect> ProcessedEventLog for SqlLog<D> {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        self.mark(EventRef::new(event_id)?).await
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.mark(event).await
    }
}
