//! Replies, kept with the rows of claims.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryProcessedLog;
use super::retained::Verdict;
use crate::claim::{ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::replay::{ClaimOrReply, NewReply, ReplayLog};

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

    async fn claim_or_reply(
        &self,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> Result<Option<ClaimOrReply>, Error> {
        let outcome = self.memory.claim(event, owner, lease);
        // A claim in between would have deleted the reply.
        let is_processed = outcome == ClaimOutcome::Processed;
        let reply = if is_processed { self.memory.claims.kept_reply(event.id()) } else { None };
        Ok(Some(ClaimOrReply { outcome, reply }))
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
