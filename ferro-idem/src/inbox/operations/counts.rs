//! Sums over an inbox.

use std::time::SystemTime;

use super::event::InboxState;
use crate::operations::{Cursor, StateCount};

/// How many events an inbox has in each state, and the oldest of each. Processed events are not counted: see
/// [`processed`](super::InboxOperations::processed).
///
/// ```
/// # use ferro_idem::inbox::operations::{InboxCounts, InboxState};
/// let mut counts = InboxCounts::default();
/// counts.count(InboxState::Parked, 2, None);
/// assert_eq!((counts.of(InboxState::Parked).events, counts.total()), (2, 2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxCounts {
    waiting: StateCount,
    backing_off: StateCount,
    running: StateCount,
    lease_ended: StateCount,
    parked: StateCount,
}

impl InboxCounts {
    /// The events of one state. Of [`Processed`](InboxState::Processed) ones there are none.
    pub fn of(&self, state: InboxState) -> StateCount {
        match state {
            InboxState::Waiting => self.waiting,
            InboxState::BackingOff => self.backing_off,
            InboxState::Running => self.running,
            InboxState::LeaseEnded => self.lease_ended,
            InboxState::Parked => self.parked,
            InboxState::Processed => StateCount::default(),
        }
    }

    /// All events.
    pub fn total(&self) -> u64 {
        InboxState::UNFINISHED.iter().fold(0, |sum, state| sum.saturating_add(self.of(*state).events))
    }

    /// When the oldest event was received that is neither processed nor parked.
    pub fn oldest(&self) -> Option<SystemTime> {
        let unfinished = InboxState::UNFINISHED.iter().filter(|state| **state != InboxState::Parked);
        unfinished.filter_map(|state| self.of(*state).oldest).min()
    }

    /// Counts events of one state in.
    pub fn count(&mut self, state: InboxState, events: u64, oldest: Option<SystemTime>) {
        let counted = match state {
            InboxState::Waiting => &mut self.waiting,
            InboxState::BackingOff => &mut self.backing_off,
            InboxState::Running => &mut self.running,
            InboxState::LeaseEnded => &mut self.lease_ended,
            InboxState::Parked => &mut self.parked,
            InboxState::Processed => return,
        };
        counted.events = counted.events.saturating_add(events);
        counted.oldest = counted.oldest.into_iter().chain(oldest).min();
    }

    /// Adds the counts of another part.
    pub fn add(&mut self, part: &Self) {
        for state in InboxState::UNFINISHED {
            let StateCount { events, oldest } = part.of(state);
            self.count(state, events, oldest);
        }
    }
}

/// The counts of a part of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxCountPage {
    /// The counts of this part.
    pub counts: InboxCounts,
    /// Where the next part begins. `None`: this is the last part.
    pub next: Option<Cursor>,
}

impl InboxCountPage {
    /// A part, for an inbox of your own.
    pub fn new(counts: InboxCounts, next: Option<Cursor>) -> Self {
        Self { counts, next }
    }
}
