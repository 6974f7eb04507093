//! How many events a worker takes ahead of its free slots.

use std::time::Duration;

/// The most events that are taken ahead. Batches of this size are several times cheaper for the database than single
/// events.
const MAX_AHEAD: usize = 128;

/// The most bytes of events that are taken ahead.
const MAX_BYTES: usize = 16 * 1024 * 1024;

const FIRST: usize = 32;

/// How long an event may wait in this process for a free slot. After that it is given back, because another process may
/// have a free slot now.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(1);

/// The number of events to take ahead: many while handlers are quick, none while they are slow.
#[derive(Debug)]
pub(super) struct Ahead {
    events: usize,
    /// The size of an event in the last batch, on average.
    bytes_each: usize,
}

impl Ahead {
    pub(super) fn new() -> Self {
        Self { events: FIRST, bytes_each: 0 }
    }

    pub(super) fn events(&self) -> usize {
        self.events.min(MAX_BYTES.checked_div(self.bytes_each).unwrap_or(MAX_AHEAD))
    }

    /// A batch was taken.
    pub(super) fn took(&mut self, events: usize, bytes: usize) {
        self.bytes_each = bytes.checked_div(events).unwrap_or(self.bytes_each);
    }

    /// All events of a batch got a slot within the time.
    pub(super) fn drained(&mut self) {
        self.events = (self.events * 2).clamp(1, MAX_AHEAD);
    }

    /// Events were given back.
    pub(super) fn waited_too_long(&mut self) {
        self.events = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_taken_ahead_while_handlers_are_quick_and_none_while_they_are_slow() {
        let mut ahead = Ahead::new();
        for _ in 0..10 {
            ahead.drained();
        }
        assert_eq!(ahead.events(), MAX_AHEAD);
        ahead.waited_too_long();
        assert_eq!(ahead.events(), 0);
        ahead.drained();
        assert_eq!(ahead.events(), 1);
    }

    #[test]
    fn large_events_are_not_taken_far_ahead() {
        let mut ahead = Ahead::new();
        ahead.took(4, 4 * 8 * 1024 * 1024);
        assert_eq!(ahead.events(), 2);
        ahead.took(0, 0);
        assert_eq!(ahead.events(), 2, "an empty batch says nothing about sizes");
        ahead.took(1, 100 * 1024 * 1024);
        assert_eq!(ahead.events(), 0);
    }
}
