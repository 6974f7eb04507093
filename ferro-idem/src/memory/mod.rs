//! The log in the memory of the process.

mod claims;
#[cfg(test)]
mod histories;
mod key;
mod operations;
#[cfg(feature = "replay")]
mod replay;
mod retained;
mod sweep;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use self::claims::Claims;
use self::key::Key;
use self::retained::Retained;
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::nesting::StoreId;
use crate::owner::Owner;

/// A log in memory, for tests, development, and services of one process that may forget events at a restart.
///
/// A restart forgets everything, and two processes do not see each other's marks. Use a log in a database if
/// money depends on it. Clones share their events.
///
/// No call waits. The only error is an invalid id.
///
/// ```
/// # use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryProcessedLog {
    memory: Arc<Memory>,
}

/// Invariant: an event's lock in `seen` is taken before its lock in `claims`, never the other way round. A
/// call that changes whether the event is processed holds both.
struct Memory {
    seen: Seen,
    claims: Claims,
    /// The same moment on two clocks, so that operations can show times.
    created_at: (Instant, SystemTime),
}

enum Seen {
    Forever(DashMap<Key, (), RandomState>),
    Retained(Retained),
}

impl MemoryProcessedLog {
    /// A log that keeps every event as long as the process runs, at 40 to 75 bytes each.
    pub fn new() -> Self {
        Self::from_parts(Seen::Forever(DashMap::default()), Claims::new(None))
    }

    /// A log that forgets each event `retention` after its first delivery.
    ///
    /// An event that arrives again after that runs again. [`RETENTION`](crate::RETENTION) is longer than any
    /// resend of Stripe's. There is no thread and no timer: new marks pay for the sweeps, at a constant cost
    /// each. The log keeps at most about twice as many events as are live. A claim is live until its lease
    /// ends.
    pub fn with_retention(retention: Duration) -> Self {
        Self::from_parts(Seen::Retained(Retained::new(retention)), Claims::new(Some(retention)))
    }

    fn from_parts(seen: Seen, claims: Claims) -> Self {
        let created_at = (Instant::now(), SystemTime::now());
        Self { memory: Arc::new(Memory { seen, claims, created_at }) }
    }

    /// How many processed events are kept, including those that have expired but are not swept yet.
    pub fn len(&self) -> usize {
        match &self.memory.seen {
            Seen::Forever(seen) => seen.len(),
            Seen::Retained(seen) => seen.len(),
        }
    }

    /// Whether no processed event is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for MemoryProcessedLog {
    fn default() -> Self {
        Self::new()
    }
}

impl Seen {
    /// Calls `decide` under the event's lock, unless the event is processed. `decide` returns a value, and
    /// whether the event is processed now. Returns `None` if it was processed before.
    #[inline]
    fn if_unseen<T>(&self, id: &str, decide: impl FnOnce() -> (bool, T)) -> Option<T> {
        #[cfg(test)]
        histories::dawdle();
        match self {
            Self::Forever(seen) => match seen.entry(Key::new(id)) {
                Entry::Occupied(_) => None,
                Entry::Vacant(unseen) => {
                    let (marks, decision) = decide();
                    if marks {
                        drop(unseen.insert(()));
                    }
                    Some(decision)
                }
            },
            Self::Retained(seen) => seen.if_unseen(id, Instant::now(), decide),
        }
    }
}

impl Memory {
    #[inline]
    fn mark(&self, event: EventRef<'_>) -> bool {
        let first = self.seen.if_unseen(event.id(), || {
            let first = !self.claims.has(event.id());
            (first, first)
        });
        first.unwrap_or(false)
    }

    fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> ClaimOutcome {
        let Self { seen, claims, .. } = self;
        claims.announce();
        let outcome = seen.if_unseen(event.id(), || (false, claims.claim(event.id(), owner, lease)));
        outcome.unwrap_or(ClaimOutcome::Processed)
    }

    /// Marks the event if `complete` completes its claim. An event that is processed may be completed again.
    fn complete_by(&self, event_id: &str, complete: impl Fn(&Claims) -> bool) -> bool {
        let completed = self.seen.if_unseen(event_id, || {
            let completed = complete(&self.claims);
            (completed, completed)
        });
        completed.unwrap_or_else(|| complete(&self.claims))
    }
}

#[async_trait]
impl ProcessedEventLog for MemoryProcessedLog {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        Ok(self.memory.mark(EventRef::new(event_id)?))
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        Ok(self.memory.mark(event))
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.memory)
    }
}

#[async_trait]
impl ClaimLog for MemoryProcessedLog {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        Ok(self.memory.claim(event, owner, lease))
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        Ok(self.memory.claims.renew(event_id, held, lease))
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        Ok(self.memory.complete_by(event_id, |claims| claims.complete(event_id, held)))
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        Ok(self.memory.claims.release(event_id, held))
    }

    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        Ok(self.memory.claims.withdraw(event_id, held))
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.memory)
    }

    fn shared_store_id(&self) -> Option<StoreId> {
        Some(StoreId::of(&*self.memory))
    }
}

impl fmt::Debug for MemoryProcessedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryProcessedLog").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_log_knows_how_many_events_it_keeps() {
        for log in [MemoryProcessedLog::new(), MemoryProcessedLog::with_retention(Duration::from_mins(1))] {
            assert!(log.is_empty());
            for id in ["evt_1", "evt_2", "evt_1"] {
                log.try_mark_processed(id).await.unwrap();
            }
            assert_eq!((log.len(), log.is_empty()), (2, false));
            assert_eq!(format!("{log:?}"), "MemoryProcessedLog { len: 2, .. }");
        }
    }

    #[tokio::test]
    async fn what_is_older_than_the_retention_runs_again() {
        let log = MemoryProcessedLog::with_retention(Duration::ZERO);
        assert!(log.try_mark_processed("evt_1").await.unwrap());
        assert!(log.try_mark_processed("evt_1").await.unwrap());
    }
}
