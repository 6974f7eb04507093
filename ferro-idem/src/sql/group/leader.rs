//! The leader: sends the queued requests, batch by batch, until the queue is empty.
//!
//! The first caller that finds no leader becomes one. A lone caller polls its leader in its own future, which
//! saves two task switches. As soon as another caller queues, the leader moves into a task of its own, because
//! a caller that is not polled for a while must not keep others waiting.
//!
//! ```text
//!              join, alone                      join, others were active lately
//!   Nowhere ────────────────► Polled        Nowhere ───────────────────────────► InTask
//!
//!   Polled ── its caller's poll ends ──────────────► AtRest
//!   Polled ── another caller joins ────────────────► PolledAndNeeded
//!   AtRest ── its caller is polled again ──────────► Polled
//!   AtRest ── another caller joins, or its caller is dropped ─► InTask
//!   PolledAndNeeded ── its caller's poll ends ─────► InTask
//!
//!   any of them ── the queue is empty (resign), or the leader is dropped (disband) ─► Nowhere
//! ```

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

#[cfg(not(test))]
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;

#[cfg(test)]
pub(super) use super::interleavings::in_background;
use super::queue::{Joined, LeaderFuture, Turn};
use super::{BatchAnswer, BatchRequest, Follower, Group, MAX_BATCH};
use crate::retry::Attempt;

/// Sends a request in a batch with others.
pub(in crate::sql) async fn send_in_batch<S, R>(
    session: S,
    group: &Arc<Group<R, R::Answer>>,
    request: R,
) -> BatchAnswer<R::Answer>
where
    S: Send + 'static,
    R: BatchRequest<S>,
{
    let Ok(room) = Arc::clone(&group.room).acquire_owned().await else {
        return BatchAnswer::Alone(Attempt::First);
    };
    let (answer, answered) = oneshot::channel();
    let joined = group.queue().join(Follower { request, answer, _room: room });
    let lead = || Box::pin(Leader { session, group: Arc::clone(group), has_resigned: false }.lead());
    let answered = match joined {
        Joined::LeadsAlone(turn) => lead_alone(&LoneCaller { group, turn }, lead(), answered).await,
        Joined::Leads => {
            in_background(lead());
            answered.await
        }
        Joined::Moves(leader, caller) => {
            in_background(leader);
            caller.wake();
            answered.await
        }
        Joined::Waits => answered.await,
    };
    answered.unwrap_or(BatchAnswer::Alone(Attempt::Retry))
}

/// Polls the leader and waits for the answer in one task, until another caller queues.
async fn lead_alone<R, A>(
    caller: &LoneCaller<'_, R, A>,
    leader: LeaderFuture,
    mut answered: oneshot::Receiver<BatchAnswer<A>>,
) -> Result<BatchAnswer<A>, oneshot::error::RecvError> {
    let LoneCaller { group, turn } = *caller;
    let mut new_leader = Some(leader);
    poll_fn(move |context| {
        let leader = new_leader.take().or_else(|| group.queue().take_up(turn));
        if let Some(mut leader) = leader
            && leader.as_mut().poll(context).is_pending()
        {
            let needed = group.queue().rest(leader, context.waker());
            match needed {
                Some(leader) => in_background(leader),
                // This leader gives the answer: it need not wake the task that polls it.
                None => return Poll::Pending,
            }
        }
        Pin::new(&mut answered).poll(context)
    })
    .await
}

/// The caller that polls its own leader. When it is gone, its leader continues in the background.
struct LoneCaller<'g, R, A> {
    group: &'g Group<R, A>,
    turn: Turn,
}

impl<R, A> Drop for LoneCaller<'_, R, A> {
    fn drop(&mut self) {
        let left = self.group.queue().leave(self.turn);
        if let Some(leader) = left {
            in_background(leader);
        }
    }
}

/// Runs without being waited for. Outside of a runtime the work is dropped, and the callers that wait for it
/// notice that. The queue must not be locked here, because a runtime that shuts down drops the work at once.
#[cfg(not(test))]
pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

/// Sends what is queued, until the queue is empty.
struct Leader<S, R: BatchRequest<S>> {
    session: S,
    group: Arc<Group<R, R::Answer>>,
    has_resigned: bool,
}

impl<S, R> Leader<S, R>
where
    S: Send + 'static,
    R: BatchRequest<S>,
{
    async fn lead(mut self) {
        if self.group.queue().is_busy() {
            self.gather().await;
        }
        loop {
            let was_single = self.send_next_batch().await == 1;
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
        let batch = self.group.queue().take(MAX_BATCH);
        let size = batch.len();
        let left = R::send_batch(&mut self.session, &self.group, batch).await;
        self.group.queue().put_back(left);
        size
    }

    fn resign(&mut self) -> bool {
        self.has_resigned = self.group.queue().resign();
        self.has_resigned
    }
}

impl<S, R: BatchRequest<S>> Drop for Leader<S, R> {
    fn drop(&mut self) {
        if !self.has_resigned {
            let left = self.group.queue().disband();
            drop(left);
        }
    }
}
