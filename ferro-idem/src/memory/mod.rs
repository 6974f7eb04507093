//! The log that lives in the process.

mod key;
mod retained;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dashmap::DashMap;
use foldhash::fast::RandomState;

use self::key::Key;
use self::retained::Retained;
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;

/// A log in memory: for tests, development, and services of one process that may forget on restart.
///
/// A restart forgets everything, and two processes know nothing of each other: what moves money
/// belongs into a database. Clones share one memory.
///
/// Nothing waits and nothing fails: a mark is one locked look at a sharded map. An invalid id is
/// the only error.
///
/// ```
/// # use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryProcessedLog {
    seen: Arc<Seen>,
}

enum Seen {
    Forever(DashMap<Key, (), RandomState>),
    Retained(Retained),
}

impl Default for Seen {
    fn default() -> Self {
        Self::Forever(DashMap::default())
    }
}

impl MemoryProcessedLog {
    /// A log that remembers every event as long as it lives, at 40 to 75 bytes each.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that forgets each event `retention` after its first delivery.
    ///
    /// An event that comes back later runs again: [`RETENTION`](crate::RETENTION) is longer than
    /// any resend of Stripe's. There is no thread and no timer; new marks pay for the sweeping,
    /// a constant share each. What is kept stays within about twice what is live.
    pub fn with_retention(retention: Duration) -> Self {
        Self { seen: Arc::new(Seen::Retained(Retained::new(retention))) }
    }

    /// How many events are kept, those included that have expired and are not swept yet.
    pub fn len(&self) -> usize {
        match &*self.seen {
            Seen::Forever(seen) => seen.len(),
            Seen::Retained(seen) => seen.len(),
        }
    }

    /// Whether no event is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn mark(&self, event: EventRef<'_>) -> bool {
        match &*self.seen {
            Seen::Forever(seen) => seen.insert(Key::new(event.id()), ()).is_none(),
            Seen::Retained(seen) => seen.mark(event.id(), Instant::now()),
        }
    }
}

#[async_trait]
impl ProcessedEventLog for MemoryProcessedLog {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        Ok(self.mark(EventRef::new(event_id)?))
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        Ok(self.mark(event))
    }
}

impl fmt::Debug for MemoryProcessedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryProcessedLog").field("len", &self.len()).finish_non_exhaustive()
    }
}
