//! Claims, each step one script.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionLike;

use super::{RedisLog, millis, script};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;

/// The states that a claim can be settled in.
#[derive(Clone, Copy)]
enum Settled {
    Processed = 1,
    Released = 2,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// A live claim never expires before its lease.
    fn time_to_live(&self, lease: Duration) -> u64 {
        millis(self.retention.max(lease))
    }

    async fn settle(
        &self,
        operation: &'static str,
        event_id: &str,
        held: Ownership,
        settled: Settled,
    ) -> Result<bool, Error> {
        let arguments = (held.owner.as_bytes().as_slice(), held.token, settled as u8, millis(self.retention));
        self.run(operation, &script::SETTLE, event_id, arguments).await
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> ClaimLog for RedisLog<C> {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.refuse_eviction().await?;
        let event_type = event.recorded_type().unwrap_or_default();
        let arguments = (owner.as_bytes().as_slice(), &*event_type, millis(lease), self.time_to_live(lease));
        let (outcome, number): (u8, u64) =
            self.run("claim the event", &script::CLAIM, event.id(), arguments).await?;
        Ok(match outcome {
            0 => ClaimOutcome::Acquired { token: number },
            1 => ClaimOutcome::InProgress { retry_after: Duration::from_millis(number) },
            _ => ClaimOutcome::Processed,
        })
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        let arguments =
            (held.owner.as_bytes().as_slice(), held.token, millis(lease), self.time_to_live(lease));
        self.run("renew the claim", &script::RENEW, event_id, arguments).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.settle("complete the event", event_id, held, Settled::Processed).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.settle("release the event", event_id, held, Settled::Released).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}
