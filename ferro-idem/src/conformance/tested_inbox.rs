//! An inbox as the kit tests it: without its sender, so that a case makes its own deliveries.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::inbox::parts::{Counts, Held, NewDelivery, Received, TakeLimits, TakenBatch};
use crate::inbox::{Inbox, InboxDatabase};
use crate::sender::Sender;

/// How the transaction ends that a delivery was put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Commit,
    Rollback,
}

/// An inbox that the kit can test: every [`Inbox`].
#[async_trait]
pub trait TestedInbox: Sized + Send + Sync + 'static {
    /// The same inbox, in which a parked delivery keeps the later ones of its order key waiting.
    #[must_use]
    fn strict(self) -> Self;

    async fn receive(&self, delivery: NewDelivery) -> Result<Received, Error>;
    /// In a transaction of the application.
    async fn put(&self, delivery: NewDelivery, ending: Ending) -> Result<Received, Error>;
    async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error>;
    async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error>;
    async fn complete(&self, held: &Held) -> Result<bool, Error>;
    async fn back_off(&self, held: &Held, after: Duration, error: &str) -> Result<bool, Error>;
    async fn park(&self, held: &Held, error: &str) -> Result<bool, Error>;
    async fn release(&self, held: &Held) -> Result<bool, Error>;
    async fn free_heads(&self) -> Result<u64, Error>;
    async fn purge(&self, older_than: Duration) -> Result<u64, Error>;
    async fn counts(&self) -> Result<Counts, Error>;
}

#[async_trait]
impl<D: InboxDatabase, S: Sender> TestedInbox for Inbox<D, S> {
    fn strict(self) -> Self {
        self.strict()
    }

    async fn receive(&self, delivery: NewDelivery) -> Result<Received, Error> {
        self.tested().receive(delivery).await
    }

    async fn put(&self, delivery: NewDelivery, ending: Ending) -> Result<Received, Error> {
        let failed = |error| Error::store("put a delivery into a transaction", error);
        let mut transaction = self.tested().pool().begin().await.map_err(failed)?;
        let received = self.tested().put(&mut transaction, delivery).await?;
        match ending {
            Ending::Commit => transaction.commit().await.map_err(failed)?,
            Ending::Rollback => transaction.rollback().await.map_err(failed)?,
        }
        Ok(received)
    }

    async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error> {
        self.tested().take(limits).await
    }

    async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error> {
        self.tested().renew(held, lease).await
    }

    async fn complete(&self, held: &Held) -> Result<bool, Error> {
        self.tested().complete(held).await
    }

    async fn back_off(&self, held: &Held, after: Duration, error: &str) -> Result<bool, Error> {
        self.tested().back_off(held, after, error).await
    }

    async fn park(&self, held: &Held, error: &str) -> Result<bool, Error> {
        self.tested().park(held, error).await
    }

    async fn release(&self, held: &Held) -> Result<bool, Error> {
        self.tested().release(held).await
    }

    async fn free_heads(&self) -> Result<u64, Error> {
        self.tested().free_heads().await
    }

    async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        self.purge(older_than).await
    }

    async fn counts(&self) -> Result<Counts, Error> {
        self.tested().counts().await
    }
}
