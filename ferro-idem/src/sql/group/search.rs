//! Finds the event that failed a batch.
//!
//! A failed batch is split, and its parts are sent again, until the event that fails is alone. The others go
//! through.

use std::sync::{Arc, Mutex, PoisonError};

use super::batch::{Batch, Follower, wanted};
use super::repeat::{keep_apart, not_apart, run};
use super::searched::{Searched, ids};
use super::{BatchRequest, BatchSession, Group};
use crate::sql::session::RequestFailed;

/// A failed batch is split into so many parts.
const PARTS: usize = 4;

/// A part of a failed batch. Each part is sent in its own task.
pub(super) struct Part<S, R: BatchRequest<S>> {
    sessions: Arc<Sessions<S>>,
    batch: Batch<R, R::Answer>,
    searched: Searched<R, R::Answer>,
}

/// What a part leaves behind after its statement.
pub(super) struct PartSent<S, R: BatchRequest<S>> {
    /// It failed as well, and is split further.
    pub(super) parts: Vec<Part<S, R>>,
    /// These wait for the next batch.
    pub(super) waiting: Vec<Follower<R, R::Answer>>,
    /// For a leader.
    pub(super) session: S,
}

/// Splits a batch that failed into parts, which go on with its session. An event that failed alone is kept apart
/// instead. `searched`: the batch's events, if they are apart already.
pub(super) fn search<S, R>(
    session: S,
    group: &Arc<Group<R, R::Answer>>,
    followers: Vec<Follower<R, R::Answer>>,
    failed: RequestFailed,
    searched: Option<Searched<R, R::Answer>>,
) -> Vec<Part<S, R>>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    if followers.len() > 1 {
        let sessions = Sessions(Mutex::new(vec![session.another(), session]));
        return split(&Arc::new(sessions), group, followers);
    }
    found(&session, group, followers, failed, searched);
    Vec::new()
}

/// Keeps the event that fails alone apart, and sends it from time to time.
fn found<S, R>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    followers: Vec<Follower<R, R::Answer>>,
    failed: RequestFailed,
    searched: Option<Searched<R, R::Answer>>,
) where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let ids = keep_apart(session, group, followers, failed);
    // Its other deliveries stay with it, because it is kept.
    drop(searched);
    for id in ids {
        run(group, session.another(), &id);
    }
}

/// The sessions of one search. They keep their connections from part to part.
struct Sessions<S>(Mutex<Vec<S>>);

impl<S: BatchSession> Sessions<S> {
    /// The last one stays, to make others of.
    fn take(&self) -> Option<S> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() > 1 { sessions.pop() } else { sessions.first().map(S::another) }
    }

    fn put_back(&self, session: S) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }
}

fn split<S, R>(
    sessions: &Arc<Sessions<S>>,
    group: &Arc<Group<R, R::Answer>>,
    mut followers: Vec<Follower<R, R::Answer>>,
) -> Vec<Part<S, R>>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let size = followers.len().div_ceil(PARTS).max(1);
    let mut parts = Vec::with_capacity(PARTS);
    while !followers.is_empty() {
        let part = followers.split_off(followers.len().saturating_sub(size));
        let searched = Searched::begin(group, ids::<S, R>(&part));
        parts.push(Part { sessions: Arc::clone(sessions), batch: Batch::new(group, part), searched });
    }
    parts
}

impl<S, R> Part<S, R>
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    /// `None`: nothing was sent, because no caller waits any more.
    pub(super) async fn send(self) -> Option<PartSent<S, R>> {
        let Self { sessions, mut batch, searched } = self;
        let group = Arc::clone(&batch.group);
        let Ok(statement) = group.statements_apart.acquire().await else { return None };
        let mut session = sessions.take()?;
        // Callers may have left meanwhile.
        batch.followers = wanted(&session, &group, batch.take());
        if batch.followers.is_empty() {
            return None;
        }
        let left = R::send_batch(&mut session, batch).await;
        drop(statement);
        let another = session.another();
        let mut parts = Vec::new();
        match left.troubled {
            Some((followers, _)) if followers.len() > 1 => {
                sessions.put_back(session);
                // Before `searched` ends, so that no event is in the queue in between.
                parts = split(&sessions, &group, followers);
                drop(searched);
            }
            Some((followers, failed)) => found(&session, &group, followers, failed, Some(searched)),
            None => {
                sessions.put_back(session);
                drop(searched);
            }
        }
        let waiting = not_apart(&another, &group, left.waiting);
        Some(PartSent { parts, waiting, session: another })
    }
}
