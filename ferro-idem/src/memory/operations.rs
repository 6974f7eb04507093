//! Operations on the log in memory.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use dashmap::Entry;

use super::key::Key;
use super::retained::Verdict;
use super::{Memory, MemoryProcessedLog, Seen};
use crate::claim::Ownership;
use crate::claim::row::{State, Time};
use crate::error::Error;
use crate::event::EventRef;
use crate::operations::{
    Change, CountPage, Counts, Cursor, EventState, Filter, Lack, LoggedEvent, MAX_PAGE, Operations, Page,
    PurgePage, RowChange,
};
use crate::owner::Owner;

/// How many events a page reads at most. Another page goes on.
const MAX_READ: usize = 10_000;

impl MemoryProcessedLog {
    /// Looks at the log's events and changes them by hand: see [`operations`](crate::operations).
    ///
    /// The log keeps no types, and without a retention no times either. A page reads through all keys.
    pub fn operations(&self) -> Arc<dyn Operations> {
        Arc::new(MemoryOperations(Arc::clone(&self.memory)))
    }
}

struct MemoryOperations(Arc<Memory>);

impl Seen {
    /// Shows whether the event is processed, and when it was marked if that is kept. The event stays locked while
    /// `look` runs.
    pub(super) fn locked<T>(&self, id: &str, look: impl FnOnce(bool, Option<Instant>) -> (Verdict, T)) -> T {
        match self {
            Self::Forever(seen) => match seen.entry(Key::new(id)) {
                Entry::Occupied(entry) => {
                    let (verdict, decided) = look(true, None);
                    if verdict == Verdict::Forget {
                        entry.remove();
                    }
                    decided
                }
                Entry::Vacant(entry) => {
                    let (verdict, decided) = look(false, None);
                    if verdict == Verdict::Mark {
                        drop(entry.insert(()));
                    }
                    decided
                }
            },
            Self::Retained(seen) => {
                seen.locked(id, Instant::now(), |marked_at| look(marked_at.is_some(), marked_at))
            }
        }
    }

    fn each_key(&self, mut each: impl FnMut(&[u8])) {
        match self {
            Self::Forever(seen) => seen.iter().for_each(|entry| each(entry.key().as_bytes())),
            Self::Retained(seen) => seen.each_key(Instant::now(), each),
        }
    }
}

impl Memory {
    fn at(&self, instant: Instant) -> SystemTime {
        let (created, on_the_wall) = self.created_at;
        on_the_wall + instant.saturating_duration_since(created)
    }

    fn changed_at(&self, at: Time) -> Option<SystemTime> {
        self.created_at.1.checked_add(at)
    }

    fn event(&self, id: &str) -> Option<LoggedEvent> {
        self.seen.locked(id, |is_processed, marked_at| {
            (Verdict::Keep, self.seen_event(id, is_processed, marked_at))
        })
    }

    /// The event as it is. Called under its lock in `seen`.
    fn seen_event(&self, id: &str, is_processed: bool, marked_at: Option<Instant>) -> Option<LoggedEvent> {
        if is_processed {
            let event = LoggedEvent::new(id, EventState::Processed)
                .with_received_at(marked_at.map(|marked_at| self.at(marked_at)));
            let processed = self.claims.row(id).filter(|(row, _)| row.state == State::Processed);
            return Some(match processed {
                None => event,
                Some((row, at)) => event
                    .with_fencing_token(row.held.token)
                    .with_owner(row.held.owner)
                    .with_updated_at(self.changed_at(at))
                    .with_reply_until(self.claims.reply_until(id).and_then(|until| self.changed_at(until))),
            });
        }
        let (row, at, left) = self.claims.unmarked_row(id)?;
        let state = match row.state {
            State::Released => EventState::Released,
            State::Claimed { .. } if left.is_zero() => EventState::LeaseEnded,
            State::Claimed { .. } => EventState::Claimed,
            // A processed row whose mark has expired.
            State::Processed => return None,
        };
        Some(
            LoggedEvent::new(id, state)
                .with_fencing_token(row.held.token)
                .with_owner(row.held.owner)
                .with_lease_left((state == EventState::Claimed).then_some(left))
                .with_updated_at(self.changed_at(at)),
        )
    }

    /// The smallest keys after this one, in order.
    fn keys_after(&self, after: &[u8], limit: usize) -> Vec<Vec<u8>> {
        let mut smallest = BinaryHeap::new();
        let mut add = |key: &[u8]| {
            if key > after {
                if smallest.len() == 2 * limit {
                    if smallest.peek().is_some_and(|last: &Vec<u8>| last.as_slice() <= key) {
                        return;
                    }
                    smallest.pop();
                }
                smallest.push(key.to_vec());
            }
        };
        // A processed event that was claimed is in both, so twice the limit is collected.
        self.seen.each_key(&mut add);
        self.claims.each_key(&mut add);
        let mut keys = smallest.into_sorted_vec();
        keys.dedup();
        keys.truncate(limit);
        keys
    }

    /// The events after the cursor, a part of the log at a time, and where the next part begins.
    fn events_after(&self, after: Option<&Cursor>) -> Result<(Vec<LoggedEvent>, Option<Cursor>), Error> {
        let after = after.map(Cursor::key).transpose()?.unwrap_or_default();
        let keys = self.keys_after(&after, MAX_READ);
        let next = keys.last().filter(|_| keys.len() == MAX_READ).map(|key| Cursor::of_key(key));
        let events = keys.iter().filter_map(|key| self.event(&String::from_utf8_lossy(key)));
        Ok((events.collect(), next))
    }
}

impl MemoryOperations {
    /// Changes the row of a claim, if it still has the state, the owner and the token that were seen.
    fn change(&self, seen: &LoggedEvent, owner: Owner, state: State) -> bool {
        let Some(seen_owner) = seen.owner() else { return false };
        let held = Ownership { owner: seen_owner, token: seen.fencing_token() };
        let was = |was: State| match was {
            State::Claimed { .. } => matches!(seen.state(), EventState::Claimed | EventState::LeaseEnded),
            State::Released => seen.state() == EventState::Released,
            State::Processed => seen.state() == EventState::Processed,
        };
        self.0.claims.change(seen.id(), held, was, owner, state)
    }

    fn too_late(&self, id: &str) -> Change {
        Change::TooLate(self.0.event(id))
    }

    fn keeps_times(&self) -> Result<(), Error> {
        match self.0.seen {
            Seen::Retained(_) => Ok(()),
            Seen::Forever(_) => Err(Error::Store {
                operation: "tell how old an event is".into(),
                advice: "this log keeps no times: make it with `MemoryProcessedLog::with_retention`".into(),
                source: "a log in memory without a retention".into(),
            }),
        }
    }
}

#[async_trait]
impl Operations for MemoryOperations {
    async fn look(&self, event_id: &str) -> Result<Option<LoggedEvent>, Error> {
        Ok(self.0.event(EventRef::new(event_id)?.id()))
    }

    async fn list(&self, filter: &Filter, after: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        if filter.needs_times() {
            self.keeps_times()?;
        }
        let (events, next) = self.0.events_after(after)?;
        let limit = limit.clamp(1, MAX_PAGE);
        let mut matching = events.into_iter().filter(|event| filter.matches(event));
        let events: Vec<LoggedEvent> = matching.by_ref().take(limit).collect();
        let has_more = matching.next().is_some();
        let last = events.last().filter(|_| has_more).map(|event| Cursor::of_key(event.id().as_bytes()));
        Ok(Page::new(events, last.or(next)))
    }

    async fn count_page(&self, after: Option<&Cursor>) -> Result<CountPage, Error> {
        let (events, next) = self.0.events_after(after)?;
        let mut counts = Counts::default();
        for event in events {
            counts.count(event.state(), 1, event.received_at().or(event.updated_at()));
        }
        Ok(CountPage::new(counts, next))
    }

    async fn release(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        if let Err(why) = RowChange::of_release(seen) {
            return Ok(Change::NotPossible(why));
        }
        let owner = Owner::random()?;
        let is_done = self.0.seen.locked(seen.id(), |is_processed, _| {
            (Verdict::Keep, !is_processed && self.change(seen, owner, State::Released))
        });
        Ok(if is_done { Change::Done } else { self.too_late(seen.id()) })
    }

    async fn complete(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        if let Err(why) = RowChange::of_complete(seen) {
            return Ok(Change::NotPossible(why));
        }
        let owner = Owner::random()?;
        let is_done = self.0.seen.locked(seen.id(), |is_processed, marked_at| {
            let now = self.0.seen_event(seen.id(), is_processed, marked_at);
            let is_done = now.is_some_and(|now| now.version() == seen.version())
                && self.change(seen, owner, State::Processed);
            (if is_done { Verdict::Mark } else { Verdict::Keep }, is_done)
        });
        Ok(if is_done { Change::Done } else { self.too_late(seen.id()) })
    }

    async fn forget(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        if let Err(why) = RowChange::of_forget(seen) {
            return Ok(Change::NotPossible(why));
        }
        let owner = Owner::random()?;
        let is_done = self.0.seen.locked(seen.id(), |is_processed, marked_at| {
            let now = self.0.seen_event(seen.id(), is_processed, marked_at);
            let is_done = now.is_some_and(|now| now.version() == seen.version());
            if is_done {
                // A row that is swept meanwhile counts among the swept ones.
                if !self.change(seen, owner, State::Released) {
                    self.0.claims.forget_swept(seen.id());
                }
            }
            (if is_done { Verdict::Forget } else { Verdict::Keep }, is_done)
        });
        Ok(if is_done { Change::Done } else { self.too_late(seen.id()) })
    }

    async fn forget_reply(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        if let Err(why) = RowChange::of_reply(seen) {
            return Ok(Change::NotPossible(why));
        }
        let is_done = self.0.seen.locked(seen.id(), |is_processed, marked_at| {
            let now = self.0.seen_event(seen.id(), is_processed, marked_at);
            let is_as_seen = now.is_some_and(|now| now.version() == seen.version());
            if is_as_seen {
                self.0.claims.delete_reply(seen.id());
            }
            (Verdict::Keep, is_as_seen)
        });
        Ok(if is_done { Change::Done } else { self.too_late(seen.id()) })
    }

    async fn purge_page(&self, older_than: Duration, _: Option<&Cursor>) -> Result<PurgePage, Error> {
        let replies = self.0.claims.purge_replies();
        self.keeps_times()?;
        let (deleted, read) = match &self.0.seen {
            Seen::Retained(seen) => seen.purge(older_than, Instant::now()),
            Seen::Forever(_) => (0, 0),
        };
        Ok(PurgePage::new(deleted, read, None).with_replies(replies))
    }

    async fn lacks(&self) -> Result<Vec<Lack>, Error> {
        Ok(match self.0.seen {
            Seen::Retained(_) => vec![Lack::Types],
            Seen::Forever(_) => vec![Lack::Types, Lack::Times],
        })
    }
}
