//! The deliveries in the database.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::{Counts, Held, NewDelivery, Received, TakeLimits, TakenBatch};
use crate::error::Error;
use crate::sql::{InvalidTableName, SqlDatabase, SqlLog};

/// Keeps deliveries in tables beside a log's, in the same pool. Clones share it.
///
/// Every step of a held delivery returns `false` if the lease was lost: another worker has taken it over.
pub(crate) struct InboxStore<D: SqlDatabase> {
    log: Arc<SqlLog<D>>,
}

/// Not derived: a derived one would require `D: Clone`.
impl<D: SqlDatabase> Clone for InboxStore<D> {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log) }
    }
}

impl<D: SqlDatabase> InboxStore<D> {
    /// The tables `webhook_inbox`, `webhook_inbox_seen`, ...: see [`schema`](Self::schema).
    pub(crate) fn new(log: &SqlLog<D>) -> Self {
        Self { log: Arc::new(log.clone()) }
    }

    /// The same over tables of this name, `NAME_seen` and so on. Each sender needs an inbox of its own.
    pub(crate) fn with_table(self, _name: &str) -> Result<Self, InvalidTableName> {
        Ok(self)
    }

    /// A parked delivery keeps the later ones of its order key waiting. All processes have to agree.
    #[must_use]
    pub(crate) fn with_strict_order(self) -> Self {
        self
    }

    /// The statements that create the tables, for a migration.
    pub(crate) fn schema(&self) -> String {
        String::new()
    }

    /// Creates the tables that are missing.
    pub(crate) async fn create_tables(&self) -> Result<(), Error> {
        todo()
    }

    /// Finds everything that is wrong with the tables, the rights and the session at once.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        todo()
    }

    /// Stores a delivery, in a statement with others. After its first poll it goes on in the background if it is
    /// dropped: the sender may not try again. Wakes this process's workers after [`Received::First`].
    pub(crate) async fn receive(&self, _delivery: NewDelivery) -> Result<Received, Error> {
        todo()
    }

    /// Stores a delivery inside the application's own transaction. Call [`wake`](Self::wake) after its commit, or
    /// leave it to the poll.
    pub(crate) async fn put(&self, _: &mut D::Connection, _: NewDelivery) -> Result<Received, Error> {
        todo()
    }

    /// Takes what is due, and what was held under a lease that has run out. Empty: there is nothing. If it is dropped,
    /// what was taken is released in the background.
    pub(crate) async fn take(&self, _limits: TakeLimits) -> Result<TakenBatch, Error> {
        todo()
    }

    /// Extends the lease to this long from now.
    pub(crate) async fn renew(&self, _held: &Held, _lease: Duration) -> Result<bool, Error> {
        todo()
    }

    /// The delivery is processed: its body is deleted, its event's key stays. Frees the next one of its order key.
    pub(crate) async fn complete(&self, _held: &Held) -> Result<bool, Error> {
        todo()
    }

    /// Another attempt after this time. Later deliveries of its order key wait for it. `error` is cut to 1,000 bytes.
    pub(crate) async fn back_off(&self, _held: &Held, _after: Duration, _error: &str) -> Result<bool, Error> {
        todo()
    }

    /// No more attempts until somebody replays it.
    pub(crate) async fn park(&self, _held: &Held, _error: &str) -> Result<bool, Error> {
        todo()
    }

    /// As if it had not been taken: no body has begun, so the attempt is given back.
    pub(crate) async fn release(&self, _held: &Held) -> Result<bool, Error> {
        todo()
    }

    /// In how long the next delivery becomes due that is not due yet. `None`: none waits.
    pub(crate) async fn next_due(&self) -> Result<Option<Duration>, Error> {
        todo()
    }

    /// Frees deliveries that wait for another one of their order key that is gone. A step of a few milliseconds: call
    /// it once for each empty take, and about each 0.2 s. Returns how many it freed; take again if any.
    pub(crate) async fn free_heads(&self) -> Result<u64, Error> {
        todo()
    }

    /// Forgets the keys of events that were received longer ago and are processed. Returns how many.
    pub(crate) async fn purge(&self, _older_than: Duration) -> Result<u64, Error> {
        todo()
    }

    pub(crate) async fn counts(&self) -> Result<Counts, Error> {
        todo()
    }

    /// Wakes the workers of this process, and on PostgreSQL those of others.
    pub(crate) fn wake(&self) {}

    /// Completes at the next wake-up since the last call returned. Cancel safe. Poll all the same.
    pub(crate) async fn woken(&self) {
        std::future::pending().await
    }
}

fn todo<T>() -> Result<T, Error> {
    Err(Error::store("use the inbox", "it is not built yet"))
}
