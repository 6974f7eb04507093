//! Events that are sent apart from the batches, because a batch failed, perhaps by one of them.
//!
//! A failed batch is split, and its parts are sent again, until the event that fails is alone. The others go
//! through. An event that failed alone stays apart for a while, so that it does not fail the next batch as
//! well: if another transaction has locked its row, it is repeated until its callers' deadlines.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Batch, Follower, Sent, never_sent, wanted};
use super::clock::{in_background, now, pause};
use super::queue::Driver;
use super::searched::{Searched, ids, not_apart};
use super::slot::Answered;
use super::{BatchRequest, BatchSession, Group, leader};
use crate::sql::session::RequestFailed;

/// How long an event stays apart after its last failure.
const KEEP_APART: Duration = Duration::from_secs(10);

/// The events of one group that are apart.
const MAX_EVENTS: usize = 1024;

/// A failed batch is split into so many parts.
const PARTS: usize = 4;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The events that are apart, by id.
pub(super) struct Apart<R, A> {
    events: HashMap<Arc<str>, Event<R, A>>,
}

struct Event<R, A> {
    waiting: VecDeque<Follower<R, A>>,
    /// A task sends it.
    is_running: bool,
    /// So many searches have not decided yet whether it is in the way.
    searches: usize,
    until: Instant,
}

/// Whether a follower joined an event that is apart.
pub(super) enum Joined<R, A> {
    /// It did, and a task sends it, or the search that goes on ends its wait.
    Runs,
    /// It did, and no task sends it.
    Waits,
    NotApart(Follower<R, A>),
}

impl<R, A> Default for Apart<R, A> {
    fn default() -> Self {
        Self { events: HashMap::new() }
    }
}

impl<R, A> Apart<R, A> {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn begin_search(&mut self, ids: &[Arc<str>], now: Instant) {
        for id in ids {
            self.events.entry(Arc::clone(id)).or_insert_with(|| Event::new(now)).searches += 1;
        }
    }

    /// The followers that may join the queue again.
    pub(super) fn end_search(&mut self, ids: &[Arc<str>], now: Instant) -> Vec<Follower<R, A>> {
        let mut released = Vec::new();
        for id in ids {
            let Some(event) = self.events.get_mut(id) else { continue };
            event.searches = event.searches.saturating_sub(1);
            if !event.is_kept(now) && event.searches == 0 {
                released.extend(self.events.remove(id).into_iter().flat_map(|event| event.waiting));
            }
        }
        released
    }

    pub(super) fn join(&mut self, id: &Arc<str>, follower: Follower<R, A>, now: Instant) -> Joined<R, A> {
        let Some(event) = self.events.get_mut(id) else { return Joined::NotApart(follower) };
        if event.is_over(now) {
            self.events.remove(id);
            return Joined::NotApart(follower);
        }
        event.waiting.push_back(follower);
        if event.is_running || event.searches > 0 { Joined::Runs } else { Joined::Waits }
    }

    /// Keeps an event apart. Hands the followers back if there are too many such events.
    fn keep(
        &mut self,
        id: &Arc<str>,
        followers: Vec<Follower<R, A>>,
        now: Instant,
    ) -> Result<(), Vec<Follower<R, A>>> {
        if self.events.len() >= MAX_EVENTS {
            self.events.retain(|_, event| !event.is_over(now));
            let is_kept = self.events.get(id).is_some_and(|event| event.is_kept(now));
            let kept = self.events.values().filter(|event| event.is_kept(now)).count();
            if !is_kept && kept >= MAX_EVENTS {
                return Err(followers);
            }
        }
        let event = self.events.entry(Arc::clone(id)).or_insert_with(|| Event::new(now));
        event.until = now + KEEP_APART;
        followers.into_iter().rev().for_each(|follower| event.waiting.push_front(follower));
        Ok(())
    }

    pub(super) fn needs_run(&self, id: &str) -> bool {
        self.events
            .get(id)
            .is_some_and(|event| !event.is_running && event.searches == 0 && !event.waiting.is_empty())
    }

    fn begin_run(&mut self, id: &str) -> bool {
        let needs_run = self.needs_run(id);
        if let Some(event) = self.events.get_mut(id) {
            event.is_running |= needs_run;
        }
        needs_run
    }

    fn end_run(&mut self, id: &str) {
        if let Some(event) = self.events.get_mut(id) {
            event.is_running = false;
        }
    }

    /// The followers to send now. Empty: the run has ended.
    fn take_or_end_run(&mut self, id: &str, has_gone_through: bool) -> Vec<Follower<R, A>> {
        let Some(event) = self.events.get_mut(id) else { return Vec::new() };
        let taken: Vec<_> = event.waiting.drain(..).collect();
        if taken.is_empty() {
            event.is_running = false;
            if has_gone_through && event.searches == 0 {
                self.events.remove(id);
            }
        }
        taken
    }

    pub(super) fn waiting(&self, id: &str) -> impl Iterator<Item = &Follower<R, A>> {
        self.events.get(id).into_iter().flat_map(|event| &event.waiting)
    }

    pub(super) fn take_never_sent(&mut self, id: &str, answered: &Answered<A>) -> Option<Follower<R, A>> {
        never_sent::take(&mut self.events.get_mut(id)?.waiting, answered)
    }

    pub(super) fn take_with_callers(&mut self, id: &str) -> Option<Follower<R, A>> {
        never_sent::take_with_callers(&mut self.events.get_mut(id)?.waiting, |_| true)
    }
}

impl<R, A> Event<R, A> {
    fn new(now: Instant) -> Self {
        Self { waiting: VecDeque::new(), is_running: false, searches: 0, until: now }
    }

    /// Whether it is apart because it failed alone.
    fn is_kept(&self, now: Instant) -> bool {
        self.is_running || self.until > now
    }

    fn is_over(&self, now: Instant) -> bool {
        !self.is_kept(now) && self.searches == 0 && self.waiting.is_empty()
    }
}

/// Finds the event that failed a batch, in the background: the leader goes on. `searched`: the batch's events, if
/// they are apart already.
pub(super) fn search<S, R>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    followers: Vec<Follower<R, R::Answer>>,
    failed: RequestFailed,
    searched: Option<Searched<R, R::Answer>>,
) where
    S: BatchSession,
    R: BatchRequest<S>,
{
    if followers.len() > 1 {
        split(&Arc::new(Sessions(Mutex::new(vec![session.another()]))), group, followers);
    } else {
        found(session, group, followers, failed, searched);
    }
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
) where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let size = followers.len().div_ceil(PARTS).max(1);
    while !followers.is_empty() {
        let part = followers.split_off(followers.len().saturating_sub(size));
        let searched = Searched::begin(group, ids::<S, R>(&part));
        let batch = Batch::new(group, part);
        in_background(send_part(Arc::clone(sessions), batch, searched));
    }
}

async fn send_part<S, R>(
    sessions: Arc<Sessions<S>>,
    mut batch: Batch<R, R::Answer>,
    searched: Searched<R, R::Answer>,
) where
    S: BatchSession,
    R: BatchRequest<S>,
{
    let group = Arc::clone(&batch.group);
    let Ok(statement) = group.statements_apart.acquire().await else { return };
    let Some(mut session) = sessions.take() else { return };
    // Callers may have left meanwhile.
    batch.followers = wanted(&session, &group, batch.take());
    if batch.followers.is_empty() {
        return;
    }
    let left = R::send_batch(&mut session, batch).await;
    drop(statement);
    let another = session.another();
    match left.troubled {
        Some((followers, _)) if followers.len() > 1 => {
            sessions.put_back(session);
            split(&sessions, &group, followers);
            drop(searched);
        }
        Some((followers, failed)) => found(&session, &group, followers, failed, Some(searched)),
        None => {
            sessions.put_back(session);
            drop(searched);
        }
    }
    let waiting = not_apart(&another, &group, left.waiting);
    group.queue().put_back(waiting);
    leader::appoint(&group, || another, Driver::Task);
}

/// Keeps these events apart, and answers their callers if it makes no sense to repeat them. Returns the ids
/// that wait.
fn keep_apart<S, R>(
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

pub(super) fn answer_with_error<S, R>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    mut follower: Follower<R, R::Answer>,
    error: impl Fn() -> crate::error::Error,
) where
    R: BatchRequest<S>,
{
    let callers = std::mem::take(&mut follower.callers);
    if follower.sent == Sent::InDoubt {
        follower.request.give_up(session, group);
    }
    for caller in callers {
        drop(caller.tell(super::BatchAnswer::Failed(error())));
    }
}

/// Sends an event that is apart, in the background, until no caller waits for it.
pub(super) fn run<S, R>(group: &Arc<Group<R, R::Answer>>, session: S, id: &Arc<str>)
where
    S: BatchSession,
    R: BatchRequest<S>,
{
    if group.apart().begin_run(id) {
        let run = Run { group: Arc::clone(group), id: Arc::clone(id), has_ended: false };
        in_background(send_apart(session, run));
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
