//! Group commit: calls that arrive while a statement is running share the next one.
//!
//! There is no timer. A caller that finds no leader leads at once, so an idle log adds no wait. Callers that
//! arrive meanwhile queue, first in, first out, and are in the next batch. [`leader`] has the state diagram.
//!
//! Invariants:
//!
//! 1. Of each kind (marks, claims, each step of a claim) at most one batch is at the database.
//! 2. Every caller in the queue is answered, or told to send its request alone. If a leader is dropped because
//!    its runtime shuts down, the followers notice it by their closed channel.
//! 3. Dropping a caller, or not polling it, harms no other caller. A leader that others wait for is a task of
//!    its own, and an undelivered mark goes to another delivery of its event, or is taken back.
//! 4. At most [`MAX_QUEUED`] callers queue. Others wait for a place in the queue, in order.

mod claim_updates;
mod claims;
#[cfg(test)]
mod hand_over_model;
#[cfg(test)]
mod interleavings;
mod leader;
mod marks;
mod queue;
mod undelivered_mark;

use std::future::Future;
use std::sync::{Arc, PoisonError};
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};

/// Tests try the orders in which tasks can take the lock.
#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub(super) use self::claim_updates::ClaimUpdate;
pub(super) use self::leader::send_in_batch;
use self::queue::Queue;
pub(super) use self::undelivered_mark::UndeliveredMark;
use super::dialect::Dialect;
use super::event_state::{ClaimStep, Mark, NewClaim};
use super::session::RequestFailed;
use crate::claim::ClaimOutcome;
use crate::error::Error;
use crate::retry::Attempt;

/// The events of one batch. `interleavings.rs` reaches the limit with few callers.
const MAX_BATCH: usize = if cfg!(test) { 2 } else { 1024 };

/// The callers that queue for one kind of statement.
const MAX_QUEUED: usize = if cfg!(test) { 3 } else { 4096 };

/// A request that can share a statement with others of its kind, sent through a session `S`.
pub(super) trait BatchRequest<S>: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    /// Answers every follower, except those that it returns: they wait for the next batch.
    fn send_batch(
        session: &mut S,
        group: &Arc<Group<Self, Self::Answer>>,
        batch: Vec<Follower<Self, Self::Answer>>,
    ) -> impl Future<Output = Vec<Follower<Self, Self::Answer>>> + Send;
}

/// A log's groups, one for each kind of statement.
pub(super) struct Groups<D: Dialect> {
    pub(super) marks: Arc<MarkGroup<D>>,
    pub(super) claims: Arc<Group<NewClaim, ClaimOutcome>>,
    renewals: Arc<Group<ClaimUpdate, bool>>,
    completions: Arc<Group<ClaimUpdate, bool>>,
    releases: Arc<Group<ClaimUpdate, bool>>,
    withdrawals: Arc<Group<ClaimUpdate, bool>>,
}

pub(super) type MarkGroup<D> = Group<Mark, UndeliveredMark<D>>;

impl<D: Dialect> Groups<D> {
    pub(super) fn updates(&self, step: ClaimStep) -> &Arc<Group<ClaimUpdate, bool>> {
        match step {
            ClaimStep::Renew => &self.renewals,
            ClaimStep::Complete => &self.completions,
            ClaimStep::Release => &self.releases,
            ClaimStep::Withdraw => &self.withdrawals,
        }
    }
}

impl<D: Dialect> Default for Groups<D> {
    fn default() -> Self {
        Self {
            marks: Arc::default(),
            claims: Arc::default(),
            renewals: Arc::default(),
            completions: Arc::default(),
            releases: Arc::default(),
            withdrawals: Arc::default(),
        }
    }
}

/// The callers of one kind of statement.
pub(super) struct Group<R, A> {
    queue: Mutex<Queue<Follower<R, A>>>,
    room: Arc<Semaphore>,
}

impl<R, A> Default for Group<R, A> {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue::new()), room: Arc::new(Semaphore::new(MAX_QUEUED)) }
    }
}

impl<R, A> Group<R, A> {
    /// A panic cannot leave the queue half-changed.
    fn queue(&self) -> MutexGuard<'_, Queue<Follower<R, A>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits for an answer.
pub(super) struct Follower<R, A> {
    request: R,
    answer: oneshot::Sender<BatchAnswer<A>>,
    /// Kept until the answer, also if the caller is gone, so that the queue is bounded.
    _room: OwnedSemaphorePermit,
}

impl<R, A> Follower<R, A> {
    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    /// Tells the caller, if it is still there.
    fn tell(self, answer: BatchAnswer<A>) {
        drop(self.answer.send(answer));
    }
}

/// What a caller in a batch is told.
pub(super) enum BatchAnswer<A> {
    Answer(A),
    Failed(Error),
    /// Send the request alone.
    Alone(Attempt),
}

/// Tells every follower why there is no answer. If the error may be about one event only, each is told to
/// send its request alone.
fn tell_all<R, A>(followers: impl Iterator<Item = Follower<R, A>>, failed: RequestFailed) {
    if failed.is_about_one_event() {
        followers.for_each(|follower| follower.tell(BatchAnswer::Alone(Attempt::Retry)));
    } else {
        fail_all(followers, failed);
    }
}

fn fail_all<R, A>(followers: impl Iterator<Item = Follower<R, A>>, failed: RequestFailed) {
    let error_for_each = failed.into_errors();
    followers.for_each(|follower| follower.tell(BatchAnswer::Failed(error_for_each())));
}
