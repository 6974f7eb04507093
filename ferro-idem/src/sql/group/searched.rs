//! Events whose statement is slow or failed, until it is known which of them causes that.
//!
//! They are apart from the queue: a new delivery of one of them waits there, so that one event does not block
//! a second batch. As soon as an event is known not to be the cause, its deliveries go back into the queue.

use std::sync::Arc;

use super::batch::Follower;
use super::clock::now;
use super::{BatchRequest, Group};

/// These events are apart until it is dropped.
pub(super) struct Searched<R, A> {
    group: Arc<Group<R, A>>,
    ids: Vec<Arc<str>>,
}

impl<R, A> Searched<R, A> {
    pub(super) fn begin(group: &Arc<Group<R, A>>, ids: Vec<Arc<str>>) -> Self {
        group.apart().begin_search(&ids, now());
        Self { group: Arc::clone(group), ids }
    }
}

impl<R, A> Drop for Searched<R, A> {
    fn drop(&mut self) {
        let released = self.group.apart().end_search(&self.ids, now());
        if !released.is_empty() {
            self.group.queue().put_back(released);
            self.group.wake_a_caller();
        }
    }
}

/// The events of these followers.
pub(super) fn ids<S, R: BatchRequest<S>>(followers: &[Follower<R, R::Answer>]) -> Vec<Arc<str>> {
    followers.iter().map(|follower| Arc::clone(follower.request.id())).collect()
}
