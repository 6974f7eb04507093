//! Sums over a log.

use std::time::SystemTime;

use super::event::EventState;
use super::listing::Cursor;

/// How many events a log has in each state, and the oldest of each.
///
/// ```
/// # use ferro_idem::operations::{Counts, EventState, StateCount};
/// let mut counts = Counts::default();
/// counts.count(EventState::Released, 2, None);
/// assert_eq!(counts.of(EventState::Released).events, 2);
/// assert_eq!(counts.total(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    states: [StateCount; 4],
}

/// The events of one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCount {
    /// How many there are.
    pub events: u64,
    /// When the oldest was received, if the log keeps that. Redis: when it was changed last.
    pub oldest: Option<SystemTime>,
}

impl Counts {
    /// The events of one state.
    pub fn of(&self, state: EventState) -> StateCount {
        let [claimed, lease_ended, released, processed] = self.states;
        match state {
            EventState::Claimed => claimed,
            EventState::LeaseEnded => lease_ended,
            EventState::Released => released,
            EventState::Processed => processed,
        }
    }

    /// All events.
    pub fn total(&self) -> u64 {
        self.states.iter().fold(0, |sum, state| sum.saturating_add(state.events))
    }

    /// When the oldest event was received.
    pub fn oldest(&self) -> Option<SystemTime> {
        self.states.iter().filter_map(|state| state.oldest).min()
    }

    /// Counts events of one state in, for a log of your own.
    pub fn count(&mut self, state: EventState, events: u64, oldest: Option<SystemTime>) {
        let [claimed, lease_ended, released, processed] = &mut self.states;
        let counted = match state {
            EventState::Claimed => claimed,
            EventState::LeaseEnded => lease_ended,
            EventState::Released => released,
            EventState::Processed => processed,
        };
        counted.events = counted.events.saturating_add(events);
        counted.oldest = counted.oldest.into_iter().chain(oldest).min();
    }

    /// Adds the counts of another part.
    pub fn add(&mut self, part: &Self) {
        for state in EventState::ALL {
            let StateCount { events, oldest } = part.of(state);
            self.count(state, events, oldest);
        }
    }
}

/// The counts of a part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CountPage {
    /// The counts of this part.
    pub counts: Counts,
    /// Where the next part begins. `None`: this is the last part.
    pub next: Option<Cursor>,
}

impl CountPage {
    /// A part, for a log of your own.
    pub fn new(counts: Counts, next: Option<Cursor>) -> Self {
        Self { counts, next }
    }
}

/// What purging a part of a log came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgePage {
    /// How many events were deleted.
    pub deleted: u64,
    /// How many replies were deleted because they had expired, apart from those of deleted events.
    pub replies: u64,
    /// How many events were read, roughly.
    pub read: u64,
    /// Where the next part begins. `None`: this is the last part.
    pub next: Option<Cursor>,
}

impl PurgePage {
    /// A part, for a log of your own.
    pub fn new(deleted: u64, read: u64, next: Option<Cursor>) -> Self {
        Self { deleted, replies: 0, read, next }
    }

    /// The same with the number of expired replies that were deleted.
    #[must_use]
    pub fn with_replies(self, replies: u64) -> Self {
        Self { replies, ..self }
    }
}
