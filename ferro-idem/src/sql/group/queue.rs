//! Who waits, and whether somebody leads.

use std::collections::VecDeque;

/// Those who wait for a statement, first in, first out.
///
/// Invariants: whoever waits has a leader, who carries them out; there is at most one.
#[derive(Debug)]
pub(crate) struct Queue<W> {
    waiting: VecDeque<W>,
    is_led: bool,
}

impl<W> Queue<W> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), is_led: false }
    }

    /// `true`: nobody leads, so whoever joined has to.
    #[must_use]
    pub(crate) fn join(&mut self, waiter: W) -> bool {
        self.waiting.push_back(waiter);
        !std::mem::replace(&mut self.is_led, true)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The leader's next batch.
    pub(crate) fn take(&mut self, most: usize) -> Vec<W> {
        let batch = self.waiting.len().min(most);
        self.waiting.drain(..batch).collect()
    }

    /// Those of a batch who have to wait for the next one, before all others.
    pub(crate) fn put_back(&mut self, left: Vec<W>) {
        left.into_iter().rev().for_each(|waiter| self.waiting.push_front(waiter));
    }

    /// `true`: nobody waits, and the leader is none any more.
    pub(crate) fn resign(&mut self) -> bool {
        self.is_led = !self.waiting.is_empty();
        !self.is_led
    }

    /// The leader is gone in the middle of it. Whoever waits has to be told.
    #[must_use]
    pub(crate) fn disband(&mut self) -> VecDeque<W> {
        self.is_led = false;
        std::mem::take(&mut self.waiting)
    }
}
