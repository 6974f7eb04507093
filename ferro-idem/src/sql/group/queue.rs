//! The queue of callers, and where their leader is. [`leader`](super::leader) has the state diagram.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// After so many batches of one event, a caller counts as alone.
const MAX_SINGLES: u8 = 8;

/// The callers that wait for a statement, first in, first out.
///
/// Invariants: there is at most one leader. While a caller waits there is a leader, or a caller that is polled
/// finds [`needs_leader`](Self::needs_leader). If more than one caller waits for the leader, it is in a task, or
/// a caller that is being polled moves it into one.
pub(crate) struct Queue<F> {
    waiting: VecDeque<F>,
    leader: Leader,
    /// Identifies the task or the lone caller that polls the leader. A former one must not take the next leader.
    turn: Turn,
    /// The batches of one event that may follow before a caller counts as alone.
    singles_left: u8,
}

/// The rest of a leader's work.
pub(crate) type LeaderFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells apart what polled one leader after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// What polls the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Its only caller.
    Caller,
    Task,
}

enum Leader {
    Nowhere,
    /// Being polled. `is_needed`: by its only caller, and others have joined.
    Polled {
        driver: Driver,
        is_needed: bool,
    },
    /// Waits to be polled again.
    AtRest {
        future: LeaderFuture,
        driver: Driver,
        wake: Arc<LeaderWake>,
        since: Instant,
    },
}

/// The leader's waker. It remembers whether the leader waits to be polled, or waits for the database.
pub(crate) struct LeaderWake {
    is_woken: AtomicBool,
    driver: Waker,
}

impl LeaderWake {
    pub(crate) fn new(driver: &Waker) -> Arc<Self> {
        Arc::new(Self { is_woken: AtomicBool::new(false), driver: driver.clone() })
    }
}

impl Wake for LeaderWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.driver.wake_by_ref();
    }
}

/// What a caller has to do that has joined the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// There is no leader, and no other caller was active lately: lead, and poll the leader.
    LeadsAlone,
    /// There is no leader: lead in a task.
    Leads,
    /// The leader's caller may never poll it again: poll the leader in a task.
    Moves(Turn),
    Waits,
}

impl<F> Queue<F> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), leader: Leader::Nowhere, turn: Turn(0), singles_left: 0 }
    }

    #[must_use]
    pub(crate) fn join(&mut self, follower: F) -> Joined {
        self.waiting.push_back(follower);
        match &mut self.leader {
            Leader::Nowhere if self.singles_left == 0 => Joined::LeadsAlone,
            Leader::Nowhere => Joined::Leads,
            Leader::AtRest { driver, .. } if *driver == Driver::Caller => {
                *driver = Driver::Task;
                Joined::Moves(self.next_turn())
            }
            Leader::Polled { driver: Driver::Caller, is_needed } => {
                *is_needed = true;
                Joined::Waits
            }
            _ => Joined::Waits,
        }
    }

    fn next_turn(&mut self) -> Turn {
        self.turn = Turn(self.turn.0.wrapping_add(1));
        self.turn
    }

    /// Makes this one the leader. It is polled with the turn that is returned.
    pub(crate) fn appoint(&mut self, future: LeaderFuture, driver: Driver, now: Instant) -> Turn {
        let wake = LeaderWake::new(Waker::noop());
        wake.is_woken.store(true, Ordering::Release);
        self.leader = Leader::AtRest { future, driver, wake, since: now };
        self.next_turn()
    }

    /// The leader, to be polled. `None`: it is done, or is polled with another turn.
    pub(crate) fn take_up(&mut self, turn: Turn) -> Option<LeaderFuture> {
        if turn != self.turn || !matches!(self.leader, Leader::AtRest { .. }) {
            return None;
        }
        match std::mem::replace(&mut self.leader, Leader::Nowhere) {
            Leader::AtRest { future, driver, .. } => {
                self.leader = Leader::Polled { driver, is_needed: false };
                Some(future)
            }
            other => {
                self.leader = other;
                None
            }
        }
    }

    /// The leader waits. A turn is returned if it has to be polled in a task from now on.
    #[must_use]
    pub(crate) fn rest(&mut self, future: LeaderFuture, wake: Arc<LeaderWake>, now: Instant) -> Option<Turn> {
        let (driver, is_needed) = match self.leader {
            Leader::Polled { driver, is_needed } => (driver, is_needed),
            _ => (Driver::Task, false),
        };
        let driver = if is_needed { Driver::Task } else { driver };
        self.leader = Leader::AtRest { future, driver, wake, since: now };
        is_needed.then(|| self.next_turn())
    }

    /// What polled the leader is dropped. A turn is returned if the leader has to be polled in another task.
    #[must_use]
    pub(crate) fn leave(&mut self, turn: Turn) -> Option<Turn> {
        match &mut self.leader {
            Leader::AtRest { driver, .. } if turn == self.turn => {
                *driver = Driver::Task;
                Some(self.next_turn())
            }
            _ => None,
        }
    }

    /// Takes a leader away that is not polled although it should be: for so long since it was woken, or for so
    /// long at all. Its runtime is not driven. To be dropped, which puts its batch back.
    #[must_use]
    pub(crate) fn take_stuck(
        &mut self,
        now: Instant,
        max_woken: Duration,
        max_unpolled: Option<Duration>,
    ) -> Option<LeaderFuture> {
        let Leader::AtRest { wake, since, .. } = &self.leader else { return None };
        let rests_for = now.saturating_duration_since(*since);
        let is_woken = wake.is_woken.load(Ordering::Acquire);
        let is_stuck = is_woken && rests_for >= max_woken || max_unpolled.is_some_and(|max| rests_for >= max);
        if !is_stuck {
            return None;
        }
        let turn = self.turn;
        self.take_up(turn)
    }

    /// Whether callers wait without a leader.
    pub(crate) fn needs_leader(&self) -> bool {
        matches!(self.leader, Leader::Nowhere) && !self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether other callers were active lately: one of the last batches had several events.
    pub(crate) fn is_busy(&self) -> bool {
        self.singles_left > 0
    }

    /// The leader's next batch.
    pub(crate) fn take(&mut self, max: usize) -> Vec<F> {
        let batch = self.waiting.len().min(max);
        self.singles_left = if batch > 1 { MAX_SINGLES } else { self.singles_left.saturating_sub(1) };
        self.waiting.drain(..batch).collect()
    }

    /// Puts followers of a batch back in front of the queue.
    pub(crate) fn put_back(&mut self, left: Vec<F>) {
        left.into_iter().rev().for_each(|follower| self.waiting.push_front(follower));
    }

    pub(crate) fn waiting(&self) -> &VecDeque<F> {
        &self.waiting
    }

    pub(crate) fn waiting_mut(&mut self) -> &mut VecDeque<F> {
        &mut self.waiting
    }

    /// `true`: the queue is empty, and there is no leader any more.
    pub(crate) fn resign(&mut self) -> bool {
        let is_empty = self.waiting.is_empty();
        if is_empty {
            self.leader = Leader::Nowhere;
        }
        is_empty
    }

    /// There is no leader any more, although callers may wait: one of them has to lead.
    pub(crate) fn abdicate(&mut self) {
        self.leader = Leader::Nowhere;
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
