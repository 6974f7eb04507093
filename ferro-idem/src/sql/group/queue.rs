//! Who waits, and where the leader is.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::Waker;

const COMPANY: u8 = 8;

/// Those who wait for a statement, first in, first out.
///
/// Invariants: whoever waits has a leader, who carries them out; there is at most one. Where more than one
/// waits for it, it is in a task, or is put into one by a caller who is being polled.
pub(crate) struct Queue<W> {
    waiting: VecDeque<W>,
    leader: Leader,
    /// Of who leads alone. One who is done must not take the next one's leader for its own.
    turn: Turn,
    /// How many batches of one there may be before nobody else is taken to be about.
    company: u8,
}

/// What a leader has to do yet.
pub(crate) type Leading = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells those apart who led alone, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// Where the leader is.
enum Leader {
    Nowhere,
    InATask,
    /// Polled by its only caller, at this moment.
    Polled,
    /// The same, and others have joined: its caller has to put it into a task.
    PolledAndNeeded,
    /// Its only caller waits, or is not polled any more. That one wants to know when it is not there any more.
    AtRest(Leading, Waker),
}

/// What whoever joined has to do.
pub(crate) enum Joined {
    /// Nobody leads, and nobody else is about: lead, and poll the leader.
    LeadsAlone(Turn),
    /// Nobody leads: lead in a task.
    Leads,
    /// The leader's caller may never poll it again: put it into a task, and wake the caller.
    Moves(Leading, Waker),
    Waits,
}

impl<W> Queue<W> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), leader: Leader::Nowhere, turn: Turn(0), company: 0 }
    }

    #[must_use]
    pub(crate) fn join(&mut self, waiter: W) -> Joined {
        self.waiting.push_back(waiter);
        let (leader, joined) = match std::mem::replace(&mut self.leader, Leader::InATask) {
            Leader::Nowhere if self.company == 0 => {
                self.turn = Turn(self.turn.0.wrapping_add(1));
                (Leader::Polled, Joined::LeadsAlone(self.turn))
            }
            Leader::Nowhere => (Leader::InATask, Joined::Leads),
            Leader::AtRest(leading, caller) => (Leader::InATask, Joined::Moves(leading, caller)),
            Leader::Polled => (Leader::PolledAndNeeded, Joined::Waits),
            elsewhere => (elsewhere, Joined::Waits),
        };
        self.leader = leader;
        joined
    }

    /// The leader's caller goes on; `None`: its leader is done, or somebody else has put it into a task.
    pub(crate) fn take_up(&mut self, turn: Turn) -> Option<Leading> {
        let leading = self.leave(turn)?;
        self.leader = Leader::Polled;
        Some(leading)
    }

    /// The leader waits. Returned, it has to go into a task.
    #[must_use]
    pub(crate) fn rest(&mut self, leading: Leading, caller: &Waker) -> Option<Leading> {
        if matches!(self.leader, Leader::Polled) {
            self.leader = Leader::AtRest(leading, caller.clone());
            None
        } else {
            self.leader = Leader::InATask;
            Some(leading)
        }
    }

    /// The leader's caller goes away. What is returned has to go into a task.
    #[must_use]
    pub(crate) fn leave(&mut self, turn: Turn) -> Option<Leading> {
        match std::mem::replace(&mut self.leader, Leader::InATask) {
            Leader::AtRest(leading, _) if turn == self.turn => Some(leading),
            elsewhere => {
                self.leader = elsewhere;
                None
            }
        }
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
        let nobody_waits = self.waiting.is_empty();
        if nobody_waits {
            self.leader = Leader::Nowhere;
        }
        nobody_waits
    }

    /// The leader is gone in the middle of it. Whoever waits has to be told.
    #[must_use]
    pub(crate) fn disband(&mut self) -> VecDeque<W> {
        self.leader = Leader::Nowhere;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<W> Queue<W> {
        pub(crate) fn is_idle(&self) -> bool {
            self.waiting.is_empty() && matches!(self.leader, Leader::Nowhere)
        }
    }

    fn leads(joined: &Joined) -> bool {
        matches!(joined, Joined::Leads | Joined::LeadsAlone(_))
    }

    fn led_by_the_first_of(waiters: std::ops::Range<u8>) -> Queue<u8> {
        let mut queue = Queue::new();
        for waiter in waiters {
            assert_eq!(leads(&queue.join(waiter)), waiter == 0, "the first one leads, and no other");
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
        assert!(!leads(&queue.join(3)));
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
        assert!(!leads(&queue.join(2)), "it still leads");
        drop(queue.take(10));
        assert!(queue.resign());
        assert!(leads(&queue.join(3)), "nobody leads");
    }

    #[test]
    fn when_a_leader_is_gone_everybody_is_handed_out_and_the_next_one_leads() {
        let mut queue = led_by_the_first_of(0..3);
        drop(queue.take(1));
        assert_eq!(queue.disband(), [1, 2]);
        assert!(queue.is_idle());
        assert!(leads(&queue.join(3)));
    }

    /// With its leader at rest.
    fn led_by_its_caller() -> (Queue<u8>, Turn) {
        let mut queue = Queue::new();
        let turn = lead_alone(&mut queue, 0);
        (queue, turn)
    }

    fn lead_alone(queue: &mut Queue<u8>, caller: u8) -> Turn {
        let Joined::LeadsAlone(turn) = queue.join(caller) else { panic!("{caller} is not alone") };
        assert!(queue.rest(Box::pin(async {}), Waker::noop()).is_none());
        turn
    }

    #[test]
    fn one_who_led_alone_does_not_touch_the_leader_of_the_next() {
        let (mut queue, first) = led_by_its_caller();
        drop(queue.take(1));
        assert!(queue.resign());
        let second = lead_alone(&mut queue, 1);
        assert!(queue.take_up(first).is_none() && queue.leave(first).is_none());
        assert!(queue.take_up(second).is_some());
    }

    #[test]
    fn a_leader_that_is_alone_stays_with_its_caller_until_that_one_goes() {
        let (mut queue, turn) = led_by_its_caller();
        let leading = queue.take_up(turn).unwrap();
        assert!(queue.take_up(turn).is_none(), "there is one");
        assert!(queue.rest(leading, Waker::noop()).is_none());
        assert!(queue.leave(turn).is_some());
        assert!(queue.take_up(turn).is_none());
        assert!(matches!(queue.join(1), Joined::Waits));
    }

    #[test]
    fn whoever_joins_a_leader_at_rest_puts_it_into_a_task() {
        let (mut queue, turn) = led_by_its_caller();
        assert!(matches!(queue.join(1), Joined::Moves(..)));
        assert!(matches!(queue.join(2), Joined::Waits));
        assert!(queue.take_up(turn).is_none() && queue.leave(turn).is_none());
    }

    #[test]
    fn a_caller_puts_its_leader_into_a_task_when_others_joined_while_it_was_polled() {
        let (mut queue, turn) = led_by_its_caller();
        let leading = queue.take_up(turn).unwrap();
        assert!(matches!(queue.join(1), Joined::Waits));
        assert!(queue.rest(leading, Waker::noop()).is_some());
        assert!(queue.take_up(turn).is_none() && queue.leave(turn).is_none());
    }

    #[test]
    fn where_others_are_about_a_leader_goes_into_a_task_at_once() {
        let mut queue = led_by_the_first_of(0..2);
        assert_eq!(queue.take(2).len(), 2);
        assert!(queue.resign());
        assert!(matches!(queue.join(2), Joined::Leads));
    }
}
