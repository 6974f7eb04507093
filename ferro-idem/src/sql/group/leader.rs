//! The leader: sends the queued requests, batch by batch, until the queue is empty.
//!
//! The first caller that finds no leader appoints one. A lone caller polls its leader in its own future, which
//! saves two task switches. As soon as another caller queues, a task polls the leader, because a caller that is
//! not polled for a while must not keep others waiting. Between two polls the leader rests in the queue.
//!
//! ```text
//!                       appoint
//!   Nowhere ───────────────────────────────► AtRest (polled by its lone caller, or by a task)
//!
//!   AtRest ── its driver is polled ────────► Polled
//!   Polled ── the poll ends ───────────────► AtRest
//!   AtRest or Polled by a lone caller ── another caller joins, or that caller is dropped ─► polled by a task
//!
//!   Polled ── the queue is empty: resign ──► Nowhere
//!   Polled ── only callers of other runtimes wait, and this runtime stops with its callers: hand over ─► Nowhere
//!   AtRest ── its driver is dropped, or does not poll: the leader is dropped, its batch goes back ─► Nowhere
//! ```
//!
//! If callers wait while there is no leader, one of them is woken. In addition, each caller checks from time
//! to time.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;

use super::batch::{Batch, Leftover, wanted};
use super::clock::{current_runtime, in_background, in_time, is_driven_by_callers, now};
use super::queue::{Driver, LeaderWake, Turn};
use super::repeat::not_apart;
use super::search::{Part, search};
use super::searched::{Searched, ids};
use super::{BatchRequest, BatchSession, Group, MAX_BATCH, waker_of_a_caller};

/// Appoints a leader, if callers wait without one. A lone caller polls it with the turn that is returned.
/// [`Driver::Task`]: a task polls it.
pub(super) fn appoint<S, R>(
    group: &Arc<Group<R, R::Answer>>,
    new_session: impl FnOnce() -> S,
    driver: Driver,
) -> Option<Turn>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let turn = {
        let mut queue = group.queue();
        if !queue.needs_leader() {
            return None;
        }
        let leader = Leader { session: new_session(), group: Arc::clone(group), has_left: false };
        queue.appoint(Box::pin(leader.lead()), driver, now())
    };
    if driver == Driver::Task {
        poll_in_task(group, turn);
    }
    Some(turn)
}

/// Polls the leader in a task from now on.
pub(super) fn poll_in_task<R, A>(group: &Arc<Group<R, A>>, turn: Turn)
where
    R: Send + 'static,
    A: Send + 'static,
{
    let driver = TaskDriver { group: Arc::clone(group), turn };
    in_background(async move { poll_fn(|context| poll_leader(&driver.group, driver.turn, context)).await });
}

/// Polls the leader, if it is to be polled with this turn. Ready: it is not any more.
pub(super) fn poll_leader<R, A>(group: &Arc<Group<R, A>>, turn: Turn, context: &Context<'_>) -> Poll<()>
where
    R: Send + 'static,
    A: Send + 'static,
{
    let Some(mut leader) = group.queue().take_up(turn) else { return Poll::Ready(()) };
    let wake = LeaderWake::new(context.waker());
    let waker = Waker::from(Arc::clone(&wake));
    if leader.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
        return Poll::Ready(());
    }
    let needs_task = group.queue().rest(leader, wake, now());
    match needs_task {
        Some(turn) => {
            poll_in_task(group, turn);
            Poll::Ready(())
        }
        None => Poll::Pending,
    }
}

/// A task that polls the leader. If it is dropped, its runtime shuts down: the leader is dropped with it.
struct TaskDriver<R, A> {
    group: Arc<Group<R, A>>,
    turn: Turn,
}

impl<R, A> Drop for TaskDriver<R, A> {
    fn drop(&mut self) {
        let leader = self.group.queue().take_up(self.turn);
        drop(leader);
    }
}

/// Sends what is queued, until the queue is empty.
struct Leader<S, R: BatchRequest<S>> {
    session: S,
    group: Arc<Group<R, R::Answer>>,
    has_left: bool,
}

impl<S, R> Leader<S, R>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    async fn lead(mut self) {
        if self.group.queue().is_busy() {
            self.gather().await;
        }
        loop {
            let was_single = self.send_next_batch().await == 1;
            if is_driven_by_callers() && !self.has_callers_here() && self.hand_over() {
                // Nobody may poll this runtime any more.
                return;
            }
            if !was_single {
                // The callers that were just answered may be about to send their next request.
                yield_now().await;
            }
            if self.resign() {
                return;
            }
            self.gather().await;
        }
    }

    /// Lets other tasks run, as long as the queue grows by that.
    async fn gather(&mut self) {
        let mut queued = 0;
        while queued < self.group.queue().len() {
            queued = self.group.queue().len();
            yield_now().await;
        }
    }

    /// Returns the size of the batch.
    async fn send_next_batch(&mut self) -> usize {
        let taken = self.group.queue().take(MAX_BATCH);
        let size = taken.len();
        // They may have queued before their event was found to be in the way.
        let taken = not_apart(&self.session, &self.group, wanted(&self.session, &self.group, taken));
        if taken.is_empty() {
            return size;
        }
        let ids = if may_leave_slow_batches::<S, R>() { ids::<S, R>(&taken) } else { Vec::new() };
        let batch = Batch::new(&self.group, taken);
        let another = self.session.another();
        let mut session = std::mem::replace(&mut self.session, another);
        let mut sending = Box::pin(async move {
            let left = R::send_batch(&mut session, batch).await;
            (session, left)
        });
        let (session, left) = if ids.is_empty() {
            sending.await
        } else {
            loop {
                if let Some(sent) = in_time(SLOW_AFTER, &mut sending).await {
                    break sent;
                }
                let others_wait = !self.group.queue().waiting().is_empty();
                let slow = if others_wait {
                    Arc::clone(&self.group.slow_batches).try_acquire_owned().ok()
                } else {
                    None
                };
                if let Some(slow) = slow {
                    let searched = Searched::begin(&self.group, ids);
                    let finishing = finish_slow(Arc::clone(&self.group), sending, searched, slow);
                    self.group.background.run(finishing);
                    return size;
                }
            }
        };
        self.session = go_on(session, &self.group, left, None);
        size
    }

    /// Whether a caller of this runtime waits, which keeps the runtime going.
    fn has_callers_here(&self) -> bool {
        let here = current_runtime();
        let queue = self.group.queue();
        queue.waiting().iter().flat_map(|follower| &follower.callers).any(|caller| caller.is_in(here))
    }

    fn resign(&mut self) -> bool {
        self.has_left = self.group.queue().resign();
        self.has_left
    }

    /// Returns `true` if another caller leads, or if no caller waits.
    fn hand_over(&mut self) -> bool {
        let mut queue = self.group.queue();
        let next = waker_of_a_caller(queue.waiting());
        if next.is_none() && !queue.waiting().is_empty() {
            // Requests that are sent without callers have only this leader.
            return false;
        }
        queue.abdicate();
        drop(queue);
        self.has_left = true;
        // Outside of the lock. If it leaves instead, it wakes another caller.
        if let Some(next) = next {
            next.wake();
        }
        true
    }
}

/// How long a batch may keep the next one waiting. One that waits for a lock takes longer, and keeps only its own
/// events.
const SLOW_AFTER: Duration = Duration::from_millis(50);

/// If a store answers one statement after the other, a second statement gains nothing. If a runtime is driven
/// by its callers, it may stop, and no leader would take over the statement.
fn may_leave_slow_batches<S, R: BatchRequest<S>>() -> bool {
    R::max_unpolled().is_some() && !is_driven_by_callers()
}

/// Goes on with a batch that the leader left, because it is slow.
async fn finish_slow<S, R>(
    group: Arc<Group<R, R::Answer>>,
    sending: impl Future<Output = (S, Leftover<R, R::Answer>)> + Send,
    searched: Searched<R, R::Answer>,
    slow: OwnedSemaphorePermit,
) where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let (session, left) = sending.await;
    let session = go_on(session, &group, left, Some(searched));
    appoint(&group, || session, Driver::Task);
    drop(slow);
}

/// Sends the parts of a batch that failed, and puts back what did not fit into its statement. Returns the session for
/// the next batch.
fn go_on<S, R>(
    session: S,
    group: &Arc<Group<R, R::Answer>>,
    left: Leftover<R, R::Answer>,
    searched: Option<Searched<R, R::Answer>>,
) -> S
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let session = if let Some((followers, failed)) = left.troubled {
        let another = session.another();
        send_parts(group, search(session, group, followers, failed, searched));
        another
    } else {
        // Its events are in nobody's way.
        drop(searched);
        session
    };
    let waiting = not_apart(&session, group, left.waiting);
    group.queue().put_back(waiting);
    session
}

/// Sends the parts of a failed batch in the background: the leader goes on.
fn send_parts<S, R>(group: &Arc<Group<R, R::Answer>>, parts: Vec<Part<S, R>>)
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    for part in parts {
        group.background.run(send_part(Arc::clone(group), part));
    }
}

async fn send_part<S, R>(group: Arc<Group<R, R::Answer>>, part: Part<S, R>)
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let Some(sent) = part.send().await else { return };
    send_parts(&group, sent.parts);
    group.queue().put_back(sent.waiting);
    appoint(&group, || sent.session, Driver::Task);
}

impl<S, R: BatchRequest<S>> Drop for Leader<S, R> {
    fn drop(&mut self) {
        if !self.has_left {
            self.group.queue().abdicate();
            self.group.wake_a_caller();
        }
    }
}
