//! The queue of callers, and where their leader is. [`leader`](super::leader) has the state diagram.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::Waker;

/// After so many batches of one event, a caller counts as alone.
const MAX_SINGLES: u8 = 8;

/// The callers that wait for a statement, first in, first out.
///
/// Invariants: while a caller waits there is one leader. If more than one caller waits for it, it is in a task,
/// or a caller that is being polled moves it into one.
pub(crate) struct Queue<W> {
    waiting: VecDeque<W>,
    leader: Leader,
    /// Identifies the lone caller that polls its leader. A former one must not take the leader of the next.
    turn: Turn,
    /// The batches of one event that may follow before a caller counts as alone.
    singles_left: u8,
}

/// The rest of a leader's work.
pub(crate) type LeaderFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells lone callers apart that led one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// Where the leader is.
enum Leader {
    Nowhere,
    InTask,
    /// Being polled by its only caller.
    Polled,
    /// The same, and others have joined: its caller has to move it into a task.
    PolledAndNeeded,
    /// Its only caller waits, or is not polled any more. The waker tells that caller if the leader moves.
    AtRest(LeaderFuture, Waker),
}

/// What a caller has to do that has joined the queue.
pub(crate) enum Joined {
    /// There is no leader, and no other caller was active lately: lead, and poll the leader.
    LeadsAlone(Turn),
    /// There is no leader: lead in a task.
    Leads,
    /// The leader's caller may never poll it again: move it into a task, and wake the caller.
    Moves(LeaderFuture, Waker),
    Waits,
}

impl<W> Queue<W> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), leader: Leader::Nowhere, turn: Turn(0), singles_left: 0 }
    }

    #[must_use]
    pub(crate) fn join(&mut self, waiter: W) -> Joined {
        self.waiting.push_back(waiter);
        let (leader, joined) = match std::mem::replace(&mut self.leader, Leader::InTask) {
            Leader::Nowhere if self.singles_left == 0 => {
                self.turn = Turn(self.turn.0.wrapping_add(1));
                (Leader::Polled, Joined::LeadsAlone(self.turn))
            }
            Leader::Nowhere => (Leader::InTask, Joined::Leads),
            Leader::AtRest(leader, caller) => (Leader::InTask, Joined::Moves(leader, caller)),
            Leader::Polled => (Leader::PolledAndNeeded, Joined::Waits),
            elsewhere => (elsewhere, Joined::Waits),
        };
        self.leader = leader;
        joined
    }

    /// The lone caller continues with its leader. `None`: the leader is done, or was moved into a task.
    pub(crate) fn take_up(&mut self, turn: Turn) -> Option<LeaderFuture> {
        let leader = self.leave(turn)?;
        self.leader = Leader::Polled;
        Some(leader)
    }

    /// The leader waits. If it is returned, it has to move into a task.
    #[must_use]
    pub(crate) fn rest(&mut self, leader: LeaderFuture, caller: &Waker) -> Option<LeaderFuture> {
        if matches!(self.leader, Leader::Polled) {
            self.leader = Leader::AtRest(leader, caller.clone());
            None
        } else {
            self.leader = Leader::InTask;
            Some(leader)
        }
    }

    /// The lone caller is dropped. If the leader is returned, it has to move into a task.
    #[must_use]
    pub(crate) fn leave(&mut self, turn: Turn) -> Option<LeaderFuture> {
        match std::mem::replace(&mut self.leader, Leader::InTask) {
            Leader::AtRest(leader, _) if turn == self.turn => Some(leader),
            elsewhere => {
                self.leader = elsewhere;
                None
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether other callers were active lately: one of the last batches had several events.
    pub(crate) fn is_busy(&self) -> bool {
        self.singles_left > 0
    }

    /// The leader's next batch.
    pub(crate) fn take(&mut self, max: usize) -> Vec<W> {
        let batch = self.waiting.len().min(max);
        self.singles_left = if batch > 1 { MAX_SINGLES } else { self.singles_left.saturating_sub(1) };
        self.waiting.drain(..batch).collect()
    }

    /// Puts followers of a batch back in front of the queue.
    pub(crate) fn put_back(&mut self, left: Vec<W>) {
        left.into_iter().rev().for_each(|waiter| self.waiting.push_front(waiter));
    }

    /// Takes out the first follower that matches.
    pub(crate) fn take_first(&mut self, is_this: impl Fn(&W) -> bool) -> Option<W> {
        let position = self.waiting.iter().position(is_this)?;
        self.waiting.remove(position)
    }

    /// `true`: the queue is empty, and there is no leader any more.
    pub(crate) fn resign(&mut self) -> bool {
        let is_empty = self.waiting.is_empty();
        if is_empty {
            self.leader = Leader::Nowhere;
        }
        is_empty
    }

    /// The leader was dropped in the middle of its work. The callers that are returned have to be told.
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
    fn a_queue_is_busy_until_batches_were_single_for_a_while() {
        let mut queue = Queue::new();
        assert!(!queue.is_busy());
        for waiter in 0..2 {
            let _ = queue.join(waiter);
        }
        assert_eq!(queue.take(9).len(), 2);
        for _ in 0..MAX_SINGLES {
            assert!(queue.is_busy());
            let _ = queue.join(9);
            assert_eq!(queue.take(9), [9]);
        }
        assert!(!queue.is_busy());
    }

    #[test]
    fn a_batch_holds_the_oldest_callers_in_order() {
        let mut queue = led_by_the_first_of(0..5);
        assert_eq!(queue.take(2), [0, 1]);
        assert_eq!(queue.take(10), [2, 3, 4]);
        assert!(queue.take(10).is_empty());
    }

    #[test]
    fn followers_that_are_put_back_go_first_in_order() {
        let mut queue = led_by_the_first_of(0..3);
        let batch = queue.take(3);
        assert!(!leads(&queue.join(3)));
        queue.put_back(batch.into_iter().skip(1).collect());
        assert_eq!(queue.take(10), [1, 2, 3]);
    }

    #[test]
    fn the_first_match_is_taken_and_the_others_keep_their_order() {
        let mut queue = led_by_the_first_of(0..5);
        assert_eq!(queue.take_first(|waiter| waiter % 2 == 1), Some(1));
        assert_eq!(queue.take_first(|&waiter| waiter > 4), None);
        assert_eq!(queue.take(10), [0, 2, 3, 4]);
    }

    #[test]
    fn a_leader_cannot_resign_while_a_caller_waits() {
        let mut queue = led_by_the_first_of(0..2);
        assert!(!queue.resign());
        assert!(!leads(&queue.join(2)), "it still leads");
        drop(queue.take(10));
        assert!(queue.resign());
        assert!(leads(&queue.join(3)), "nobody leads");
    }

    #[test]
    fn after_a_leader_is_gone_the_next_caller_leads() {
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
    fn a_former_lone_caller_does_not_touch_the_next_leader() {
        let (mut queue, first) = led_by_its_caller();
        drop(queue.take(1));
        assert!(queue.resign());
        let second = lead_alone(&mut queue, 1);
        assert!(queue.take_up(first).is_none() && queue.leave(first).is_none());
        assert!(queue.take_up(second).is_some());
    }

    #[test]
    fn a_lone_leader_stays_with_its_caller_until_that_goes() {
        let (mut queue, turn) = led_by_its_caller();
        let leader = queue.take_up(turn).unwrap();
        assert!(queue.take_up(turn).is_none(), "there is one");
        assert!(queue.rest(leader, Waker::noop()).is_none());
        assert!(queue.leave(turn).is_some());
        assert!(queue.take_up(turn).is_none());
        assert!(matches!(queue.join(1), Joined::Waits));
    }

    #[test]
    fn joining_a_leader_at_rest_moves_it_into_a_task() {
        let (mut queue, turn) = led_by_its_caller();
        assert!(matches!(queue.join(1), Joined::Moves(..)));
        assert!(matches!(queue.join(2), Joined::Waits));
        assert!(queue.take_up(turn).is_none() && queue.leave(turn).is_none());
    }

    #[test]
    fn a_leader_that_others_joined_moves_into_a_task() {
        let (mut queue, turn) = led_by_its_caller();
        let leader = queue.take_up(turn).unwrap();
        assert!(matches!(queue.join(1), Joined::Waits));
        assert!(queue.rest(leader, Waker::noop()).is_some());
        assert!(queue.take_up(turn).is_none() && queue.leave(turn).is_none());
    }

    #[test]
    fn a_busy_queue_has_its_leader_in_a_task_at_once() {
        let mut queue = led_by_the_first_of(0..2);
        assert_eq!(queue.take(2).len(), 2);
        assert!(queue.resign());
        assert!(matches!(queue.join(2), Joined::Leads));
    }
}
