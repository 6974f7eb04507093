//! Repeats an event that failed alone, apart from the batches.
//!
//! The event stays apart for a while after each failure, so that it does not fail the next batch as well. If
//! another transaction has locked its row, it is repeated until the deadlines of its callers.

use std::sync::Arc;
use std::time::Duration;

use super::apart::Joined;
use super::batch::{Batch, Follower, Sent, answer_with_error, wanted};
use super::clock::{now, pause};
use super::{BatchRequest, BatchSession, Group};
use crate::sql::session::RequestFailed;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Lets the followers whose event is apart join it, and returns the others.
pub(super) fn not_apart<S, R>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    followers: Vec<Follower<R, R::Answer>>,
) -> Vec<Follower<R, R::Answer>>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let mut others = Vec::with_capacity(followers.len());
    let mut idle = Vec::new();
    {
        let mut apart = group.apart();
        if apart.is_empty() {
            return followers;
        }
        for follower in followers {
            let id = Arc::clone(follower.request.id());
            match apart.join(&id, follower, now()) {
                Joined::Runs => {}
                Joined::Waits => idle.push(id),
                Joined::NotApart(follower) => others.push(follower),
            }
        }
    }
    for id in idle {
        run(group, session.another(), &id);
    }
    others
}

/// Keeps these events apart, and answers their callers if it makes no sense to repeat them. Returns the ids
/// that wait.
pub(super) fn keep_apart<S, R>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    followers: Vec<Follower<R, R::Answer>>,
    failed: RequestFailed,
) -> Vec<Arc<str>>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let is_permanent = failed.is_permanent();
    let error_for_each = failed.into_errors();
    let mut ids = Vec::new();
    for follower in followers {
        let id = Arc::clone(follower.request.id());
        let (waiting, refused) =
            if is_permanent { (Vec::new(), vec![follower]) } else { (vec![follower], Vec::new()) };
        let kept = group.apart().keep(&id, waiting, now());
        for follower in kept.err().into_iter().flatten().chain(refused) {
            answer_with_error(session, group, follower, &error_for_each);
        }
        ids.push(id);
    }
    ids
}

/// Sends an event that is apart in the background, until no caller waits for it.
pub(super) fn run<S, R>(group: &Arc<Group<R, R::Answer>>, session: S, id: &Arc<str>)
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    if group.apart().begin_run(id) {
        let run = Run { group: Arc::clone(group), id: Arc::clone(id), has_ended: false };
        group.background.run(send_apart(session, run));
    }
}

/// A task that sends one event. If it is dropped, another one may run.
struct Run<R, A> {
    group: Arc<Group<R, A>>,
    id: Arc<str>,
    has_ended: bool,
}

impl<R, A> Drop for Run<R, A> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.group.apart().end_run(&self.id);
        }
    }
}

async fn send_apart<S, R>(mut session: S, mut run: Run<R, R::Answer>)
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let group = &Arc::clone(&run.group);
    let mut next_pause = FIRST_PAUSE;
    let mut has_gone_through = false;
    loop {
        let followers = group.apart().take_or_end_run(&run.id, has_gone_through);
        if followers.is_empty() {
            run.has_ended = true;
            return;
        }
        let mut batch = Batch::new(group, wanted(&session, group, followers));
        // The statement of a repeated request does not wait long for a lock.
        for follower in &mut batch.followers {
            if follower.sent == Sent::Never {
                follower.sent = Sent::InVain;
            }
        }
        if batch.followers.is_empty() {
            continue;
        }
        let Ok(statement) = group.statements_apart.acquire().await else { return };
        let left = R::send_batch(&mut session, batch).await;
        drop(statement);
        has_gone_through = left.troubled.is_none();
        if !left.waiting.is_empty() {
            let refused = group.apart().keep(&run.id, left.waiting, now());
            drop(refused);
        }
        if let Some((followers, failed)) = left.troubled {
            let _kept = keep_apart(&session, group, followers, failed);
            // Its connection is for others meanwhile.
            session = session.another();
            pause(next_pause).await;
            next_pause = (next_pause * 2).min(MAX_PAUSE);
        }
    }
}
