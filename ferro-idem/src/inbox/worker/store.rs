//! The store's queue, for the worker.

use std::time::Duration;

use async_trait::async_trait;

use super::queue::Queue;
use crate::error::Error;
use crate::inbox::delivery::{Held, TakeLimits, TakenBatch};
use crate::inbox::dialect::InboxDatabase;
use crate::inbox::store::InboxStore;

#[async_trait]
impl<D: InboxDatabase> Queue for InboxStore<D> {
    async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error> {
        self.take(limits).await
    }

    async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error> {
        self.renew(held, lease).await
    }

    async fn complete(&self, held: &Held) -> Result<bool, Error> {
        self.complete(held).await
    }

    async fn back_off(&self, held: &Held, after: Duration, error: &str) -> Result<bool, Error> {
        self.back_off(held, after, error).await
    }

    async fn park(&self, held: &Held, error: &str) -> Result<bool, Error> {
        self.park(held, error).await
    }

    async fn release(&self, held: &Held) -> Result<bool, Error> {
        self.release(held).await
    }

    async fn free_heads(&self) -> Result<u64, Error> {
        self.free_heads().await
    }

    async fn woken(&self) {
        self.woken().await;
    }

    fn is_permanent(&self, error: &Error) -> bool {
        Self::needs_help(error)
    }
}
