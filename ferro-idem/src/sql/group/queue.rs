//! Who waits, and whether somebody leads.

use std::collections::VecDeque;

const COMPANY: u8 = 8;

/// Those who wait for a statement, first in, first out.
///
/// Invariants: whoever waits has a leader, who carries them out; there is at most one.
#[derive(Debug)]
pub(crate) struct Queue<W> {
    waiting: VecDeque<W>,
    is_led: bool,
    /// How many batches of one there may be before nobody else is taken to be about.
    company: u8,
}

impl<W> Queue<W> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), is_led: false, company: 0 }
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

    /// Whether others are about: one of the last batches was of several.
    pub(crate) fn has_company(&self) -> bool {
        self.company > 0
    }

    /// The leader's next batch.
    pub(crate) fn take(&mut self, most: usize) -> Vec<W> {
        let batch = self.waiting.len().min(most);
        self.company = if batch > 1 { COMPANY } else { self.company.saturating_sub(1) };
        self.waiting.drain(..batch).collect()
    }

    /// Those of a batch who have to wait for the next one, before all others.
    pub(crate) fn put_back(&mut self, left: Vec<W>) {
        left.into_iter().rev().for_each(|waiter| self.waiting.push_front(waiter));
    }

    /// Takes out the first who waits for this.
    pub(crate) fn take_first(&mut self, is_this: impl Fn(&W) -> bool) -> Option<W> {
        let position = self.waiting.iter().position(is_this)?;
        self.waiting.remove(position)
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

#[cfg(test)]
mod tests {
    use super::*;

    impl<W> Queue<W> {
        pub(crate) fn is_idle(&self) -> bool {
            self.waiting.is_empty() && !self.is_led
        }
    }

    fn led_by_the_first_of(waiters: std::ops::Range<u8>) -> Queue<u8> {
        let mut queue = Queue::new();
        for waiter in waiters {
            assert_eq!(queue.join(waiter), waiter == 0, "the first one leads, and no other");
        }
        queue
    }

    #[test]
    fn a_caller_has_company_until_it_was_alone_for_a_while() {
        let mut queue = Queue::new();
        assert!(!queue.has_company());
        for waiter in 0..2 {
            let _ = queue.join(waiter);
        }
        assert_eq!(queue.take(9).len(), 2);
        for _ in 0..COMPANY {
            assert!(queue.has_company());
            let _ = queue.join(9);
            assert_eq!(queue.take(9), [9]);
        }
        assert!(!queue.has_company());
    }

    #[test]
    fn a_batch_is_those_who_waited_longest_in_order() {
        let mut queue = led_by_the_first_of(0..5);
        assert_eq!(queue.take(2), [0, 1]);
        assert_eq!(queue.take(10), [2, 3, 4]);
        assert!(queue.take(10).is_empty());
    }

    #[test]
    fn who_is_put_back_goes_before_those_who_came_meanwhile_in_the_same_order() {
        let mut queue = led_by_the_first_of(0..3);
        let batch = queue.take(3);
        assert!(!queue.join(3));
        queue.put_back(batch.into_iter().skip(1).collect());
        assert_eq!(queue.take(10), [1, 2, 3]);
    }

    #[test]
    fn who_is_taken_out_was_the_first_of_those_and_the_others_keep_their_order() {
        let mut queue = led_by_the_first_of(0..5);
        assert_eq!(queue.take_first(|waiter| waiter % 2 == 1), Some(1));
        assert_eq!(queue.take_first(|&waiter| waiter > 4), None);
        assert_eq!(queue.take(10), [0, 2, 3, 4]);
    }

    #[test]
    fn a_leader_cannot_resign_while_somebody_waits() {
        let mut queue = led_by_the_first_of(0..2);
        assert!(!queue.resign());
        assert!(!queue.join(2), "it still leads");
        drop(queue.take(10));
        assert!(queue.resign());
        assert!(queue.join(3), "nobody leads");
    }

    #[test]
    fn when_a_leader_is_gone_everybody_is_handed_out_and_the_next_one_leads() {
        let mut queue = led_by_the_first_of(0..3);
        drop(queue.take(1));
        assert_eq!(queue.disband(), [1, 2]);
        assert!(queue.is_idle());
        assert!(queue.join(3));
    }
}
