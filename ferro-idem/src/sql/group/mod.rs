//! Group commit: one statement for whatever queued while the last one was under way.
//!
//! There is no timer: who finds nobody leading leads at once, so an idle log adds no wait. Whoever
//! comes meanwhile queues, first in, first out, and is in the next statement.
//!
//! Invariants:
//!
//! 1. Of each kind (marks, claims, each step of a claim) at most one shared statement is under way.
//! 2. Whoever queued is answered, or told to ask alone. A leader that is dropped (its runtime shuts down)
//!    tells everybody by that.
//! 3. Dropping a caller, or not polling it, harms nobody: a leader that others wait for is a task of its own,
//!    and a mark that was answered to nobody, or that may have been made for an error, is another's, or taken back.
//! 4. At most [`ROOM`] wait; who comes then waits for room, in order.

mod claims;
#[cfg(test)]
mod handing_over;
#[cfg(test)]
mod interleavings;
mod marks;
mod queue;
mod settling;
mod undelivered;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;

/// Tests try the orders in which tasks can take it.
#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::yield_now;

#[cfg(test)]
use self::interleavings::in_a_task;
use self::queue::{Joined, Leading, Queue, Turn};
pub(super) use self::settling::Settlement;
pub(super) use self::undelivered::UndeliveredMark;
use super::dialect::{Dialect, Mark, NewClaim};
use super::session::Unanswered;
use crate::claim::ClaimOutcome;
use crate::error::Error;

/// Events in one statement. In `interleavings.rs` few callers have to reach it.
const MOST: usize = if cfg!(test) { 2 } else { 1024 };

/// Callers who queue for one kind of statement.
const ROOM: usize = if cfg!(test) { 3 } else { 4096 };

/// A request that can share a statement, over a session `L`, with others of its kind.
pub(super) trait Sharing<L>: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    fn group<'g>(&self, session: &'g L) -> &'g Arc<Group<Self, Self::Answer>>;

    /// Answers everybody, but for those who are returned: they wait for the next statement.
    fn carry_out(
        session: &mut L,
        batch: Vec<Waiter<Self, Self::Answer>>,
    ) -> impl Future<Output = Vec<Waiter<Self, Self::Answer>>> + Send;
}

/// One for each kind of statement.
pub(super) struct Groups<D: Dialect> {
    marks: Arc<Group<Mark, UndeliveredMark<D>>>,
    claims: Arc<Group<NewClaim, ClaimOutcome>>,
    renewals: Arc<Group<Settlement, bool>>,
    completions: Arc<Group<Settlement, bool>>,
    releases: Arc<Group<Settlement, bool>>,
}

impl<D: Dialect> Default for Groups<D> {
    fn default() -> Self {
        Self {
            marks: Arc::default(),
            claims: Arc::default(),
            renewals: Arc::default(),
            completions: Arc::default(),
            releases: Arc::default(),
        }
    }
}

/// Those who ask for one kind of statement.
pub(super) struct Group<R, A> {
    queue: Mutex<Queue<Waiter<R, A>>>,
    room: Arc<Semaphore>,
}

impl<R, A> Default for Group<R, A> {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue::new()), room: Arc::new(Semaphore::new(ROOM)) }
    }
}

impl<R, A> Group<R, A> {
    /// A panic cannot leave it half-changed.
    fn queue(&self) -> MutexGuard<'_, Queue<Waiter<R, A>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for an answer.
pub(super) struct Waiter<R, A> {
    request: R,
    answer: oneshot::Sender<Told<A>>,
    /// Kept until the answer, also when the caller is gone: what is queued is bounded.
    _room: OwnedSemaphorePermit,
}

impl<R, A> Waiter<R, A> {
    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    /// Where nobody hears it, there is nothing to tell.
    fn tell(self, told: Told<A>) {
        drop(self.answer.send(told));
    }
}

/// What a caller is told.
pub(super) enum Told<A> {
    Answer(A),
    Failed(Error),
    /// Ask alone. `again`: it may have been carried out.
    Alone {
        again: bool,
    },
}

/// Asks together with others.
pub(super) async fn share<L, R>(session: L, request: R) -> Told<R::Answer>
where
    L: Send + 'static,
    R: Sharing<L>,
{
    let group = Arc::clone(request.group(&session));
    let Ok(room) = Arc::clone(&group.room).acquire_owned().await else {
        return Told::Alone { again: false };
    };
    let (answer, told) = oneshot::channel();
    let joined = group.queue().join(Waiter { request, answer, _room: room });
    let lead = || Box::pin(Leader { session, group: Arc::clone(&group), has_resigned: false }.lead());
    let told = match joined {
        Joined::LeadsAlone(turn) => lead_alone(&Caller { group: &group, turn }, lead(), told).await,
        Joined::Leads => {
            in_a_task(lead());
            told.await
        }
        Joined::Moves(leading, caller) => {
            in_a_task(leading);
            caller.wake();
            told.await
        }
        Joined::Waits => told.await,
    };
    told.unwrap_or(Told::Alone { again: true })
}

/// Leads and waits in one task, which spares who is alone two switches. Whoever else comes puts the leader into a
/// task of its own: a caller who is not polled for a while would keep everybody waiting.
async fn lead_alone<R, A>(
    caller: &Caller<'_, R, A>,
    leading: Leading,
    mut told: oneshot::Receiver<Told<A>>,
) -> Result<Told<A>, oneshot::error::RecvError> {
    let Caller { group, turn } = *caller;
    let mut begins_with = Some(leading);
    poll_fn(move |context| {
        let leading = begins_with.take().or_else(|| group.queue().take_up(turn));
        if let Some(mut leading) = leading
            && leading.as_mut().poll(context).is_pending()
        {
            let needed = group.queue().rest(leading, context.waker());
            match needed {
                Some(leading) => in_a_task(leading),
                // The answer is told by this leader: it need not wake who polls it.
                None => return Poll::Pending,
            }
        }
        Pin::new(&mut told).poll(context)
    })
    .await
}

/// Who leads alone. Once it is gone, its leader goes on in a task.
struct Caller<'g, R, A> {
    group: &'g Group<R, A>,
    turn: Turn,
}

impl<R, A> Drop for Caller<'_, R, A> {
    fn drop(&mut self) {
        let left = self.group.queue().leave(self.turn);
        if let Some(leading) = left {
            in_a_task(leading);
        }
    }
}

/// Goes on without being waited for. Outside of a runtime there is no task to be had, and whoever waits for it
/// is told by its end. Nobody may hold the queue: a runtime that shuts down drops `work` here.
#[cfg(not(test))]
fn in_a_task(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

/// Carries out what is queued, until nothing is.
struct Leader<L, R: Sharing<L>> {
    session: L,
    group: Arc<Group<R, R::Answer>>,
    has_resigned: bool,
}

impl<L, R> Leader<L, R>
where
    L: Send + 'static,
    R: Sharing<L>,
{
    async fn lead(mut self) {
        if self.group.queue().has_company() {
            self.gather().await;
        }
        loop {
            let was_alone = self.lead_once().await == 1;
            if !was_alone {
                // Those just answered may be about to ask again.
                yield_now().await;
            }
            if self.resign() {
                return;
            }
            self.gather().await;
        }
    }

    /// Lets those run who are about to ask, as long as the queue grows by it.
    async fn gather(&mut self) {
        let mut waiting = 0;
        while waiting < self.group.queue().len() {
            waiting = self.group.queue().len();
            yield_now().await;
        }
    }

    /// How many were in it.
    async fn lead_once(&mut self) -> usize {
        let batch = self.group.queue().take(MOST);
        let size = batch.len();
        let left = R::carry_out(&mut self.session, batch).await;
        self.group.queue().put_back(left);
        size
    }

    fn resign(&mut self) -> bool {
        self.has_resigned = self.group.queue().resign();
        self.has_resigned
    }
}

impl<L, R: Sharing<L>> Drop for Leader<L, R> {
    fn drop(&mut self) {
        if !self.has_resigned {
            let left = self.group.queue().disband();
            drop(left);
        }
    }
}

/// Tells everybody why there is no answer; where it may be about one event alone, each is told to ask
/// for itself.
fn tell_all<R, A>(waiters: impl Iterator<Item = Waiter<R, A>>, unanswered: Unanswered) {
    if unanswered.is_about_one_event() {
        waiters.for_each(|waiter| waiter.tell(Told::Alone { again: true }));
    } else {
        fail_all(waiters, unanswered);
    }
}

fn fail_all<R, A>(waiters: impl Iterator<Item = Waiter<R, A>>, unanswered: Unanswered) {
    let for_each = unanswered.shared();
    waiters.for_each(|waiter| waiter.tell(Told::Failed(for_each())));
}
