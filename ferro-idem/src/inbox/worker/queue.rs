//! What a worker needs of the store, for any database and for the tests.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::inbox::delivery::{Held, TakeLimits, TakenBatch};

/// The events that wait in the inbox. [`InboxStore`](crate::inbox::store::InboxStore) says what the methods promise.
#[async_trait]
pub(in crate::inbox) trait Queue: Send + Sync {
    async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error>;
    async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error>;
    async fn complete(&self, held: &Held) -> Result<bool, Error>;
    async fn back_off(&self, held: &Held, after: Duration, error: &str) -> Result<bool, Error>;
    async fn park(&self, held: &Held, error: &str) -> Result<bool, Error>;
    async fn release(&self, held: &Held) -> Result<bool, Error>;
    async fn free_heads(&self) -> Result<u64, Error>;
    async fn woken(&self);
    /// Whether no later take can succeed until somebody changes the database or the application.
    fn is_permanent(&self, error: &Error) -> bool;
}
