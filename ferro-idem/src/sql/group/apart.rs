//! The events that are sent apart from the batches.
//!
//! An event is apart in two cases: it failed alone not long ago ([`repeat`](super::repeat)), or it is in a
//! statement that is slow or failed, and it is not known yet which event of the statement causes that
//! ([`searched`](super::searched)). Its new deliveries wait here instead of in the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Follower, never_sent};
use super::slot::Answered;

/// How long an event stays apart after its last failure.
const KEEP_APART: Duration = Duration::from_secs(10);

/// The events of one group that are apart.
const MAX_EVENTS: usize = 1024;

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
    /// It did. A task sends it, or the running search ends its wait.
    Runs,
    /// It did, and a task has to be started.
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
    pub(super) fn keep(
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

    pub(super) fn begin_run(&mut self, id: &str) -> bool {
        let needs_run = self.needs_run(id);
        if let Some(event) = self.events.get_mut(id) {
            event.is_running |= needs_run;
        }
        needs_run
    }

    pub(super) fn end_run(&mut self, id: &str) {
        if let Some(event) = self.events.get_mut(id) {
            event.is_running = false;
        }
    }

    /// Takes the followers to send now. If there are none, the run has ended.
    pub(super) fn take_or_end_run(&mut self, id: &str, has_gone_through: bool) -> Vec<Follower<R, A>> {
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
