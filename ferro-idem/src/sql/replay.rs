//! Replies, in the rows of their events.

use std::sync::Arc;

use async_trait::async_trait;

use super::SqlLog;
use super::dialect::SqlDatabase;
use super::event_state::{ClaimStep, HeldClaim, StoredReply, millis};
use super::group::{BatchAnswer, ReadReply, send_in_batch};
use super::request::ReadReplies;
use super::session::{RequestFailed, Session};
use super::transaction::{SqlTransaction, answered_once};
use crate::claim::Ownership;
use crate::error::Error;
use crate::replay::{NewReply, ReplayLog, TransactionalReplayLog};
use crate::retry::{Attempt, Attempts};

const READ: &str = "read the reply";
const COMPLETE: &str = "complete the event";
const KEEP: &str = "keep the reply";

impl StoredReply {
    fn new(reply: NewReply<'_>) -> Self {
        Self { bytes: reply.stored.into(), keep_millis: millis(reply.keep) }
    }
}

#[async_trait]
impl<D: SqlDatabase> ReplayLog for SqlLog<D> {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        self.core.reply_sql(READ).await?;
        let mut attempt = Attempt::First;
        if self.has_group_commit {
            let session = || Session::for_batches(&self.core);
            match send_in_batch(session, &self.groups.replies, ReadReply(event_id.into())).await {
                BatchAnswer::Answer(reply) => return Ok(reply.map(|reply| reply.to_vec())),
                BatchAnswer::Failed(error) => return Err(error),
                BatchAnswer::Alone(next) => attempt = next,
            }
        }
        let mut replies = Session::for_caller(&self.core)
            .send_after(&mut Attempts::starting_with(attempt), &ReadReplies(&[event_id]))
            .await
            .map_err(RequestFailed::into_error)?;
        Ok(replies.pop().flatten())
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        self.core.reply_sql(COMPLETE).await?;
        let held = HeldClaim { reply: StoredReply::new(reply), ..HeldClaim::new(event_id, held) };
        self.update_claim(ClaimStep::CompleteWithReply, held).await
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(self.clone())
    }
}

impl<D: SqlDatabase> TransactionalReplayLog for SqlLog<D> {
    async fn keep_in(
        &self,
        transaction: &mut SqlTransaction<D>,
        event_id: &str,
        reply: NewReply<'_>,
    ) -> Result<(), Error> {
        let reply = StoredReply::new(reply);
        answered_once(KEEP, D::ANSWERS_WITHIN, transaction.keep(event_id, &reply)).await
    }
}
