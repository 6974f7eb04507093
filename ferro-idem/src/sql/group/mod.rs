//! Group commit: calls that arrive while a statement is running share the next one.
//!
//! There is no timer. A caller that finds no leader leads at once, so an idle log adds no wait. Callers that
//! arrive meanwhile queue, first in, first out, and are in the next batch. [`leader`] has the state diagram.
//!
//! Invariants:
//!
//! 1. Of each kind (marks, claims, each step of a claim) the leader has at most one batch at the database. One
//!    that is slow, as by a lock, is left to a task as soon as others wait, at most [`MAX_SLOW`] at a time. Events
//!    that failed a batch are sent apart, at most [`MAX_APART`] statements at a time ([`search`], [`repeat`]). An
//!    event in such a statement is apart from the queue ([`apart`]): it does not block a second batch.
//! 2. Every caller is answered within its own deadline, however many wait and whatever its leader does. If a
//!    leader is dropped, or its runtime is not driven, its batch goes back into the queue with the owners that
//!    it used, and another caller leads.
//! 3. Dropping a caller, or not polling it, harms no other caller. A request that only queues is dropped with
//!    its caller. An undelivered mark goes to another delivery of its event, or is taken back.
//! 4. At most [`MAX_QUEUED`] callers are in a group. Others wait for a place, in order. Nothing recurses over
//!    callers.

mod apart;
mod background;
mod batch;
mod caller;
mod claim_updates;
mod claims;
#[cfg_attr(test, path = "test_clock.rs")]
mod clock;
#[cfg(test)]
mod hand_over_model;
#[cfg(test)]
mod interleavings;
mod leader;
mod marks;
mod queue;
mod repeat;
#[cfg(feature = "replay")]
mod replies;
mod search;
mod searched;
#[cfg(feature = "inbox")]
mod shared;
mod slot;
pub(super) mod take_back;
mod undelivered_mark;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, PoisonError};
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

/// Tests try the orders in which tasks can take the lock.
#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
use tokio::sync::Semaphore;

use self::apart::Apart;
use self::background::Background;
use self::batch::{Batch, Follower, Leftover};
pub(super) use self::caller::send_in_batch;
pub(super) use self::claim_updates::ClaimUpdate;
use self::queue::Queue;
#[cfg(feature = "replay")]
pub(super) use self::replies::ReadReply;
#[cfg(feature = "inbox")]
pub(crate) use self::shared::{SharedGroup, SharedRequest};
use self::slot::Caller;
pub(super) use self::undelivered_mark::UndeliveredMark;
use super::dialect::Dialect;
use super::event_state::{ClaimAnswer, ClaimStep, Mark, NewClaim};
use super::session::Session;
use crate::error::Error;
use crate::retry::Attempt;

/// The events of one batch. `interleavings.rs` reaches the limits with few callers.
const MAX_BATCH: usize = if cfg!(test) { 2 } else { 1024 };

/// The bytes of one statement, unless a single request has more. Servers limit the size of a message: MariaDB to 16
/// MiB by default.
const MAX_BYTES: usize = 4 << 20;

/// The events of one statement that reads replies. They may be large, and all of them arrive together.
const MAX_REPLIES: usize = 128;

/// The callers in one group.
const MAX_QUEUED: usize = if cfg!(test) { 3 } else { 4096 };

/// The statements that one group has at the database for events that are sent apart.
const MAX_APART: usize = 4;

/// The batches of one group that its leader left at the database, because they are slow.
const MAX_SLOW: usize = 4;

/// A request that can share a statement with others of its kind, sent through a session `S`.
pub(super) trait BatchRequest<S>: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    fn id(&self) -> &Arc<str>;

    /// For error messages, to be read after "could not".
    fn operation(&self) -> &'static str;

    /// A leader that was not polled for so long has a runtime that is not driven. `None`: a statement may take
    /// as long as it wants.
    fn max_unpolled() -> Option<Duration>;

    /// Answers the followers of a batch, except those that it returns.
    fn send_batch(
        session: &mut S,
        batch: Batch<Self, Self::Answer>,
    ) -> impl Future<Output = Leftover<Self, Self::Answer>> + Send;

    /// Moves the callers of the second follower of one event into the first, if one request can serve both.
    /// Returns what it does not move.
    fn merge(
        _first: &mut Follower<Self, Self::Answer>,
        other: Follower<Self, Self::Answer>,
    ) -> Option<Follower<Self, Self::Answer>> {
        Some(other)
    }

    /// Whether it is sent although no caller is left.
    fn is_sent_without_callers(&self) -> bool {
        false
    }

    /// Called for a request without callers that may have been carried out.
    fn give_up(self, session: &S, group: &Arc<Group<Self, Self::Answer>>) {
        let _ = (session, group);
    }
}

/// A session that can make another one to the same database.
pub(super) trait BatchSession: Send + 'static {
    fn another(&self) -> Self;
}

/// A leader whose statement is answered or given up in this time was not polled, if it is still at rest.
fn max_unpolled<D: Dialect>() -> Option<Duration> {
    D::ANSWERS_WITHIN.map(|limit| limit * 2 + Duration::from_secs(1))
}

impl<D: Dialect> BatchSession for Session<D> {
    fn another(&self) -> Self {
        Self::for_batches(self.core())
    }
}

/// A log's groups, one for each kind of statement.
pub(super) struct Groups<D: Dialect> {
    pub(super) marks: Arc<MarkGroup<D>>,
    pub(super) claims: Arc<ClaimGroup>,
    /// Claims whose statement reads the replies of processed events.
    #[cfg(feature = "replay")]
    pub(super) claims_reading_replies: Arc<ClaimGroup>,
    renewals: Arc<Group<ClaimUpdate, bool>>,
    completions: Arc<Group<ClaimUpdate, bool>>,
    completions_with_reply: Arc<Group<ClaimUpdate, bool>>,
    releases: Arc<Group<ClaimUpdate, bool>>,
    withdrawals: Arc<Group<ClaimUpdate, bool>>,
    #[cfg(feature = "replay")]
    pub(super) replies: Arc<Group<ReadReply, Option<Arc<[u8]>>>>,
}

pub(super) type ClaimGroup = Group<NewClaim, ClaimAnswer>;

pub(super) type MarkGroup<D> = Group<Mark, UndeliveredMark<D>>;

impl<D: Dialect> Groups<D> {
    pub(super) fn updates(&self, step: ClaimStep) -> &Arc<Group<ClaimUpdate, bool>> {
        match step {
            ClaimStep::Renew => &self.renewals,
            ClaimStep::Complete => &self.completions,
            ClaimStep::CompleteWithReply => &self.completions_with_reply,
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
            #[cfg(feature = "replay")]
            claims_reading_replies: Arc::default(),
            renewals: Arc::default(),
            completions: Arc::default(),
            completions_with_reply: Arc::default(),
            releases: Arc::default(),
            withdrawals: Arc::default(),
            #[cfg(feature = "replay")]
            replies: Arc::default(),
        }
    }
}

/// The callers of one kind of statement.
pub(crate) struct Group<R, A> {
    queue: Mutex<Queue<Follower<R, A>>>,
    apart: Mutex<Apart<R, A>>,
    room: Arc<Semaphore>,
    statements_apart: Semaphore,
    slow_batches: Arc<Semaphore>,
    background: Background,
}

impl<R, A> Default for Group<R, A> {
    fn default() -> Self {
        Self {
            queue: Mutex::new(Queue::new()),
            apart: Mutex::new(Apart::default()),
            room: Arc::new(Semaphore::new(MAX_QUEUED)),
            statements_apart: Semaphore::new(MAX_APART),
            slow_batches: Arc::new(Semaphore::new(MAX_SLOW)),
            background: Background::default(),
        }
    }
}

impl<R, A> Group<R, A> {
    /// A panic cannot leave the queue half-changed.
    fn queue(&self) -> MutexGuard<'_, Queue<Follower<R, A>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never locked together with the queue.
    fn apart(&self) -> MutexGuard<'_, Apart<R, A>> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a caller look around, if callers wait without a leader. `false`: none of them is left to lead.
    fn wake_a_caller(&self) -> bool {
        let waker = {
            let queue = self.queue();
            if !queue.needs_leader() {
                return true;
            }
            waker_of_a_caller(queue.waiting())
        };
        // Outside of the locks, because what it wakes may run at once.
        waker.map(Waker::wake).is_some()
    }
}

fn waker_of_a_caller<R, A>(waiting: &VecDeque<Follower<R, A>>) -> Option<Waker> {
    waiting.iter().flat_map(|follower| &follower.callers).find_map(Caller::take_waker)
}

/// What a caller in a batch is told.
pub(super) enum BatchAnswer<A> {
    Answer(A),
    Failed(Error),
    /// Send the request alone.
    Alone(Attempt),
}
