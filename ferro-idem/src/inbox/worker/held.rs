//! An event of the inbox as a claim, so that leases are renewed by the code that renews those of claims.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::queue::Queue;
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::inbox::delivery::Held;
use crate::owner::Owner;

/// One event that a worker holds.
#[derive(Clone)]
pub(super) struct HeldEvent {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) held: Held,
    /// After this, the lease is no longer renewed: the body blocks its thread, so it cannot be stopped.
    pub(super) renewed_until: Instant,
}

#[derive(Debug, thiserror::Error)]
#[error("the handler blocks its thread for longer than its time limit")]
struct Blocked;

#[async_trait]
impl ClaimLog for HeldEvent {
    /// The event was taken already.
    async fn claim(&self, _: EventRef<'_>, _: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        Ok(ClaimOutcome::InProgress { retry_after: lease })
    }

    async fn renew(&self, _: &str, _: Ownership, lease: Duration) -> Result<bool, Error> {
        if Instant::now() >= self.renewed_until {
            return Err(Error::store("renew the lease", Blocked));
        }
        self.queue.renew(&self.held, lease).await
    }

    async fn complete(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        self.queue.complete(&self.held).await
    }

    /// A body began and was dropped: the attempt counts.
    async fn release(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        self.queue.back_off(&self.held, Duration::ZERO, "the worker was dropped while the handler ran").await
    }

    /// No body began: the attempt does not count.
    async fn withdraw(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        self.queue.release(&self.held).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}
