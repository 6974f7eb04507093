//! The followers of one statement, while it is at the database.

use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;

use super::slot::Caller;
use super::{BatchAnswer, BatchRequest, Group};
use crate::error::Error;
use crate::retry::Attempts;
use crate::sql::session::RequestFailed;

/// A request and the callers that wait for its answer.
pub(in crate::sql) struct Follower<R, A> {
    pub(super) request: R,
    pub(super) callers: Vec<Caller<A>>,
    pub(super) sent: Sent,
}

/// What is known about earlier attempts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Never,
    /// It was sent, and surely not carried out.
    InVain,
    /// It may have been carried out, or may still be.
    InDoubt,
}

impl<R, A> Follower<R, A> {
    pub(super) fn has_callers(&self) -> bool {
        self.callers.iter().any(|caller| !caller.is_gone())
    }

    /// Tells every caller that is still there.
    pub(super) fn tell_all(self, mut answer: impl FnMut() -> BatchAnswer<A>) {
        for caller in self.callers {
            drop(caller.tell(answer()));
        }
    }
}

/// The followers that share a statement. Dropped before they were answered, with the leader's runtime or
/// because the leader was not polled, they go back into the queue as requests that may have been carried out.
pub(in crate::sql) struct Batch<R, A> {
    pub(super) group: Arc<Group<R, A>>,
    pub(super) followers: Vec<Follower<R, A>>,
}

/// What a batch leaves behind.
pub(in crate::sql) struct Leftover<R, A> {
    /// These did not fit into the statement. They wait for the next one.
    pub(super) waiting: Vec<Follower<R, A>>,
    /// The statement failed, perhaps by one event of these.
    pub(super) troubled: Option<(Vec<Follower<R, A>>, RequestFailed)>,
}

impl<R, A> Leftover<R, A> {
    pub(super) fn waiting(waiting: Vec<Follower<R, A>>) -> Self {
        Self { waiting, troubled: None }
    }
}

impl<R, A> Batch<R, A> {
    pub(super) fn new(group: &Arc<Group<R, A>>, followers: Vec<Follower<R, A>>) -> Self {
        Self { group: Arc::clone(group), followers }
    }

    /// Keeps one follower of each event, in the order of ids, and returns the others. `merge` may move the
    /// callers of the second follower into the first, and returns what it does not move.
    pub(super) fn keep_one_of_each(
        &mut self,
        id: impl Fn(&R) -> &Arc<str>,
        merge: impl Fn(&mut Follower<R, A>, Follower<R, A>) -> Option<Follower<R, A>>,
    ) -> Vec<Follower<R, A>> {
        let mut events: BTreeMap<Arc<str>, Follower<R, A>> = BTreeMap::new();
        let mut others = Vec::new();
        for follower in std::mem::take(&mut self.followers) {
            match events.entry(Arc::clone(id(&follower.request))) {
                btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(follower);
                }
                btree_map::Entry::Occupied(mut first) => {
                    others.extend(merge(first.get_mut(), follower));
                }
            }
        }
        self.followers = events.into_values().collect();
        others
    }

    /// The attempts for this statement. From now on the requests may have been carried out.
    pub(super) fn begin(&mut self) -> Attempts {
        let is_first = self.followers.iter().all(|follower| follower.sent == Sent::Never);
        let in_doubt = self.followers.iter().any(|follower| follower.sent == Sent::InDoubt);
        let attempts = if is_first { Attempts::new() } else { Attempts::after_failed(in_doubt) };
        for follower in &mut self.followers {
            if follower.sent == Sent::Never {
                follower.sent = Sent::InVain;
            }
        }
        attempts
    }

    /// The followers, to be answered now.
    pub(super) fn take(&mut self) -> Vec<Follower<R, A>> {
        std::mem::take(&mut self.followers)
    }

    /// The followers of a statement that failed.
    pub(super) fn take_failed(&mut self, failed: &RequestFailed) -> Vec<Follower<R, A>> {
        let mut followers = self.take();
        if failed.may_be_carried_out() {
            for follower in &mut followers {
                follower.sent = Sent::InDoubt;
            }
        }
        followers
    }
}

impl<R, A> Drop for Batch<R, A> {
    fn drop(&mut self) {
        if self.followers.is_empty() {
            return;
        }
        let mut followers = self.take();
        for follower in &mut followers {
            if follower.sent != Sent::Never {
                follower.sent = Sent::InDoubt;
            }
        }
        self.group.queue().put_back(followers);
        self.group.wake_a_caller();
    }
}

/// The followers that have callers, or are sent without. A request that may have been carried out, and whose
/// callers are gone, serves the other callers of its event if it can, and is given up if it cannot.
pub(super) fn wanted<S, R: BatchRequest<S>>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    followers: Vec<Follower<R, R::Answer>>,
) -> Vec<Follower<R, R::Answer>> {
    let is_left =
        |follower: &Follower<R, R::Answer>| follower.sent == Sent::InDoubt && !follower.has_callers();
    let followers = if followers.iter().any(is_left) {
        let mut batch = Batch::new(group, followers);
        let others = batch.keep_one_of_each(R::id, R::merge);
        batch.take().into_iter().chain(others).collect()
    } else {
        followers
    };
    let is_wanted = |follower: &Follower<R, R::Answer>| {
        follower.has_callers() || follower.request.is_sent_without_callers()
    };
    let (wanted, others): (Vec<_>, Vec<_>) = followers.into_iter().partition(is_wanted);
    for follower in others {
        if follower.sent == Sent::InDoubt {
            follower.request.give_up(session, group);
        }
    }
    wanted
}

impl<R, A> Batch<R, A> {
    /// Answers every follower of a statement that failed.
    pub(super) fn fail<S>(&mut self, session: &S, failed: RequestFailed)
    where
        R: BatchRequest<S, Answer = A>,
    {
        let followers = self.take_failed(&failed);
        let error_for_each = failed.into_errors();
        for follower in followers {
            answer_with_error(session, &self.group, follower, &error_for_each);
        }
    }

    /// The end of a statement that failed: its followers are searched for the event that made it fail, if there may be
    /// one, and are answered otherwise.
    pub(super) fn fail_or_search<S>(
        &mut self,
        session: &S,
        waiting: Vec<Follower<R, A>>,
        failed: RequestFailed,
    ) -> Leftover<R, A>
    where
        R: BatchRequest<S, Answer = A>,
    {
        if failed.is_about_one_event() {
            return Leftover { waiting, troubled: Some((self.take_failed(&failed), failed)) };
        }
        self.fail(session, failed);
        Leftover::waiting(waiting)
    }
}

/// Answers a follower's callers with an error, and gives a request up that may have been carried out.
pub(super) fn answer_with_error<S, R>(
    session: &S,
    group: &Arc<Group<R, R::Answer>>,
    mut follower: Follower<R, R::Answer>,
    error: impl Fn() -> Error,
) where
    R: BatchRequest<S>,
{
    let callers = std::mem::take(&mut follower.callers);
    if follower.sent == Sent::InDoubt {
        follower.request.give_up(session, group);
    }
    for caller in callers {
        drop(caller.tell(BatchAnswer::Failed(error())));
    }
}

/// Followers that wait, and whose request is not in doubt.
pub(super) mod never_sent {
    use std::collections::VecDeque;

    use super::{Follower, Sent};
    use crate::sql::group::slot::Answered;

    /// Takes out the follower of this caller.
    pub(in crate::sql::group) fn take<R, A>(
        waiting: &mut VecDeque<Follower<R, A>>,
        answered: &Answered<A>,
    ) -> Option<Follower<R, A>> {
        let is_its_own = |follower: &Follower<R, A>| {
            follower.sent == Sent::Never && follower.callers.iter().any(|caller| caller.is_of(answered))
        };
        let position = waiting.iter().position(is_its_own)?;
        waiting.remove(position)
    }

    /// Takes out the first matching follower with a caller that is still there.
    pub(in crate::sql::group) fn take_with_callers<R, A>(
        waiting: &mut VecDeque<Follower<R, A>>,
        matches: impl Fn(&R) -> bool,
    ) -> Option<Follower<R, A>> {
        let is_there = |follower: &Follower<R, A>| {
            follower.sent != Sent::InDoubt && matches(&follower.request) && follower.has_callers()
        };
        let position = waiting.iter().position(is_there)?;
        waiting.remove(position)
    }
}
