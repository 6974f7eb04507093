//! Replies, kept with the rows of claims.

use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryProcessedLog;
use super::retained::Verdict;
use crate::claim::Ownership;
use crate::error::Error;
use crate::replay::{NewReply, ReplayLog};

/// Time is tokio's, so that tests can pause it.
#[async_trait]
impl ReplayLog for MemoryProcessedLog {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        // The mark of a log with a retention may have expired before the reply.
        Ok(self.memory.seen.locked(event_id, |is_processed, _| {
            let reply = if is_processed { self.memory.claims.kept_reply(event_id) } else { None };
            (Verdict::Keep, reply)
        }))
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        Ok(self.memory.complete_by(event_id, |claims| {
            claims.complete_with_reply(event_id, held, reply.stored, reply.keep)
        }))
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(self.clone())
    }
}
