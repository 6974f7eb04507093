//! Delivers the events of the inbox to the application's handler.
//!
//! From the ground up: what a worker needs of the store ([`queue`]), how it runs ([`settings`]), what becomes of an
//! event ([`verdict`]), one run of the handler ([`attempt`]), and the loop that takes events ([`poller`]).

mod ahead;
mod attempt;
mod claims;
mod held;
mod outage;
mod poller;
mod queue;
mod settings;
mod store;
mod trace;
mod verdict;

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};

use self::attempt::{Next, Work};
use self::claims::{Learned, Prepared};
use self::poller::{Poller, Start};
pub(super) use self::queue::Queue;
use self::settings::{MIN_POLL_INTERVAL, Settings};
use super::backoff::Backoff;
use super::delivery::Taken;
use super::reply::Reply;
use crate::error::Error;
use crate::lease_length::{MAX_LEASE, MIN_LEASE};
use crate::sender::Sender;

/// More handlers at once would only wait for each other.
const MAX_CONCURRENCY: usize = 65_536;

/// Delivers the events of an [`Inbox`](super::Inbox) to a handler: [`Inbox::worker`](super::Inbox::worker).
///
/// Every process may run one, or several. Each event is with one of them at a time.
#[must_use = "a worker does nothing until it runs"]
pub struct Worker<S, F> {
    queue: Arc<dyn Queue>,
    sender: Arc<S>,
    handler: F,
    location: &'static Location<'static>,
    settings: Settings,
}

impl<S, F> Worker<S, F> {
    pub(super) fn new(
        queue: Arc<dyn Queue>,
        sender: Arc<S>,
        handler: F,
        location: &'static Location<'static>,
        (max_attempts, backoff, has_order): (u32, Backoff, bool),
    ) -> Self {
        Self { queue, sender, handler, location, settings: Settings::new(max_attempts, backoff, has_order) }
    }

    /// Runs so many handlers at once in this process, 16 unless set. Zero is taken for 1.
    pub fn with_concurrency(mut self, handlers: usize) -> Self {
        self.settings.concurrency = handlers.clamp(1, MAX_CONCURRENCY);
        self
    }

    /// The lease under which an event is taken, [`DEFAULT_LEASE`](crate::DEFAULT_LEASE) unless set. It is renewed
    /// while the handler runs. After a crash, the event waits for this long. It is at least
    /// [`MIN_LEASE`](crate::MIN_LEASE).
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.clamp(MIN_LEASE, MAX_LEASE);
        self
    }

    /// Stops a handler that has not returned after this time, 5 minutes unless set. That is a failed attempt.
    ///
    /// A handler that blocks its thread cannot be stopped. Its lease is not renewed any more then, and another worker
    /// takes the event over.
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.settings.time_limit = limit.min(MAX_LEASE);
        self
    }

    /// How long running handlers get to finish after the shutdown began, 20 seconds unless set. After that they are
    /// stopped and their events are given back. Such an attempt does not count.
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.settings.drain_limit = limit.min(MAX_LEASE);
        self
    }

    /// How often a worker that finds nothing asks the database, every second unless set. A quarter of it is left to
    /// chance.
    ///
    /// A worker is woken at once by what its own process receives, and on PostgreSQL by what others receive. The
    /// interval is how late it finds what it was not woken for: an event of another process, the end of the lease of a
    /// worker that crashed, a `put` that was committed.
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval.clamp(MIN_POLL_INTERVAL, MAX_LEASE);
        self
    }
}

impl<S, F, Fut, R> Worker<S, F>
where
    S: Sender,
    F: Fn(S::Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    /// Delivers events until `shutdown` completes. Then it takes no more, waits for running handlers (see
    /// [`with_drain_limit`](Self::with_drain_limit)), and returns.
    ///
    /// If the database cannot be reached, the worker tries again until it can, with pauses of up to 15 seconds.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, running handlers are dropped, which counts as a failed attempt of their events.
    /// Nothing is lost, but the shutdown is the gentler way.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it cannot go on until somebody acts: the tables are missing or do not fit, rights are
    /// missing, the pool is closed, or the table holds events of another sender.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { queue, sender, handler, location, settings } = self;
        let learned = Learned::default();
        let work = Work { queue: Arc::clone(&queue), sender, handler, location, settings, learned };
        Poller::new(Arc::new(work), queue, settings).run(shutdown).await
    }
}

impl<S, F, Fut, R> Start for Arc<Work<S, F>>
where
    S: Sender,
    F: Fn(S::Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    fn prepare(&self, taken: Taken) -> Prepared {
        self.learned.prepare(taken, self.settings.lease)
    }

    fn start(
        &self,
        prepared: Prepared,
        slot: OwnedSemaphorePermit,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = Result<Next, Error>> + Send + 'static {
        Arc::clone(self).attempt(prepared, slot, stop)
    }
}

impl<S, F> fmt::Debug for Worker<S, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").field("settings", &self.settings).finish_non_exhaustive()
    }
}
