//! A caller: joins the queue, waits for its answer, and makes sure that there is a leader.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::batch::{Follower, Sent, never_sent};
use super::clock::{Ticks, now};
use super::queue::{Driver, Joined, Turn};
use super::slot::{Answered, slot};
use super::{BatchAnswer, BatchRequest, BatchSession, Group, apart, leader, repeat};
use crate::detach_on_drop::is_detached;
use crate::retry::{Attempt, DEADLINE, NoAnswerInTime};
use crate::sql::fault::Fault;

/// How often a caller looks whether its leader is polled, and how long a leader may be woken without that.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sends a request in a batch with others. Answered within [`DEADLINE`], and dropped with its caller while it
/// only queues.
pub(in crate::sql) async fn send_in_batch<S, R>(
    new_session: impl Fn() -> S,
    group: &Arc<Group<R, R::Answer>>,
    request: R,
) -> BatchAnswer<R::Answer>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let deadline = now() + DEADLINE;
    let operation = request.operation();
    let is_kept = request.is_sent_without_callers();
    let mut ticks = Ticks::new(LOOK_EVERY, deadline);
    let is_over = || now() >= deadline || is_detached() && !is_kept;
    let room = {
        let mut acquire = std::pin::pin!(Arc::clone(&group.room).acquire_owned());
        poll_fn(|context| match acquire.as_mut().poll(context) {
            Poll::Ready(room) => Poll::Ready(room.ok()),
            Poll::Pending => {
                let _ticked = ticks.poll(context);
                if is_over() { Poll::Ready(None) } else { Poll::Pending }
            }
        })
        .await
    };
    let Some(room) = room else { return late(operation) };
    let (caller, answered) = slot(room);
    let id = Arc::clone(request.id());
    let follower = Follower { request, callers: vec![caller], sent: Sent::Never };
    let lead = || {
        leader::appoint(group, &new_session, Driver::Task);
    };
    let mut place = Place { group, id, answered, turn: None, stays: is_kept, lead };
    // Not in the `match` itself, which would keep the lock.
    let joined = group.apart().join(&place.id, follower, now());
    match joined {
        apart::Joined::Runs => {}
        apart::Joined::Waits => repeat::run(group, new_session(), &place.id),
        apart::Joined::NotApart(follower) => {
            let joined = group.queue().join(follower);
            match joined {
                Joined::LeadsAlone => place.turn = leader::appoint(group, &new_session, Driver::Caller),
                Joined::Leads => lead(),
                Joined::Moves(turn) => leader::poll_in_task(group, turn),
                Joined::Waits => {}
            }
        }
    }
    poll_fn(|context| {
        if let Some(turn) = place.turn
            && leader::poll_leader(group, turn, context).is_ready()
        {
            place.turn = None;
        }
        if let Poll::Ready(answer) = place.answered.poll(context) {
            place.stays = true;
            return Poll::Ready(answer.unwrap_or(BatchAnswer::Alone(Attempt::Retry)));
        }
        if ticks.poll(context).is_ready() {
            let stuck = group.queue().take_stuck(now(), LOOK_EVERY, R::max_unpolled());
            drop(stuck);
            group.background.drop_stuck();
            if group.apart().needs_run(&place.id) {
                repeat::run(group, new_session(), &place.id);
            }
        }
        lead();
        if now() >= deadline {
            return Poll::Ready(place.leave().unwrap_or_else(|| late(operation)));
        }
        if is_detached() && !is_kept && place.leave_queue() {
            return Poll::Ready(late(operation));
        }
        Poll::Pending
    })
    .await
}

fn late<A>(operation: &'static str) -> BatchAnswer<A> {
    BatchAnswer::Failed(Fault::late().of(operation, NoAnswerInTime::within(DEADLINE)))
}

/// A caller's place in its group. Dropping it takes the request out of the queue, unless it is at the
/// database.
struct Place<'g, R, A, L>
where
    R: Send + 'static,
    A: Send + 'static,
    L: Fn(),
{
    group: &'g Arc<Group<R, A>>,
    id: Arc<str>,
    answered: Answered<A>,
    /// The caller polls its leader itself.
    turn: Option<Turn>,
    /// The request is not taken out of the queue: it is answered, or is sent without its caller.
    stays: bool,
    /// Appoints a leader in a task, if callers wait without one.
    lead: L,
}

impl<R, A, L> Place<'_, R, A, L>
where
    R: Send + 'static,
    A: Send + 'static,
    L: Fn(),
{
    /// Gives the request up while it queues, and closes the place: an answer that has come is returned, and one that
    /// comes later finds no caller.
    fn leave(&self) -> Option<BatchAnswer<A>> {
        if !self.stays {
            self.leave_queue();
        }
        self.answered.close()
    }

    /// `true`: the request was in the queue, and is not sent. One look and not two, because the leader may take the
    /// request at any time.
    fn leave_queue(&self) -> bool {
        // What is taken out is dropped outside of the locks.
        let queued = never_sent::take(self.group.queue().waiting_mut(), &self.answered);
        let apart = self.group.apart().take_never_sent(&self.id, &self.answered);
        queued.is_some() || apart.is_some()
    }
}

impl<R, A, L> Drop for Place<'_, R, A, L>
where
    R: Send + 'static,
    A: Send + 'static,
    L: Fn(),
{
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            let next = self.group.queue().leave(turn);
            if let Some(turn) = next {
                leader::poll_in_task(self.group, turn);
            }
        }
        // This caller may have been the one that was woken to lead. From here on it is not woken again.
        drop(self.leave());
        if !self.group.wake_a_caller() {
            // What waits has no callers any more. It is sent or given up all the same.
            (self.lead)();
        }
    }
}
