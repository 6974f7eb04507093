//! Replies that fail as told.

use std::sync::Arc;

use async_trait::async_trait;

use super::{FailingLog, FailingTransaction};
use crate::claim::Ownership;
use crate::error::Error;
use crate::replay::{NewReply, ReplayLog, TransactionalReplayLog};
use crate::steps::Step;

#[async_trait]
impl<L: ReplayLog> ReplayLog for FailingLog<L> {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        self.call(Step::ReadReply, self.log.kept_reply(event_id)).await
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        self.call(Step::CompleteWithReply, self.log.complete_with_reply(event_id, held, reply)).await
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(FailingLog { log: self.log.replay_handle(), plan: Arc::clone(&self.plan) })
    }
}

impl<L: TransactionalReplayLog> TransactionalReplayLog for FailingLog<L> {
    async fn keep_in(
        &self,
        transaction: &mut FailingTransaction<L::Transaction>,
        event_id: &str,
        reply: NewReply<'_>,
    ) -> Result<(), Error> {
        let keeping = self.log.keep_in(&mut transaction.transaction, event_id, reply);
        self.call(Step::KeepInTransaction, keeping).await
    }
}
