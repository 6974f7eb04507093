//! Marks that share a statement.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Follower, Leftover, Sent};
use super::take_back::take_back;
use super::undelivered_mark::{being_taken_back, check_room, tell_first};
use super::{BatchRequest, MarkGroup, UndeliveredMark, max_unpolled};
use crate::sql::dialect::Dialect;
use crate::sql::event_state::Mark;
use crate::sql::request::MarkEvents;
use crate::sql::session::Session;
use crate::sql::unmark_queue::{Next, UnmarkQueue};

type MarkFollower<D> = Follower<Mark, UndeliveredMark<D>>;

impl<D: Dialect> BatchRequest<Session<D>> for Mark {
    type Answer = UndeliveredMark<D>;

    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn operation(&self) -> &'static str {
        "mark the event as processed"
    }

    fn max_unpolled() -> Option<Duration> {
        max_unpolled::<D>()
    }

    fn give_up(self, session: &Session<D>, _: &Arc<MarkGroup<D>>) {
        take_back(session.core(), self, true);
    }

    /// Several deliveries of one event are marked once, by the owner of the first. The mark that may exist goes
    /// first, and its callers come first as well. Two that may exist stay apart.
    fn merge(first: &mut MarkFollower<D>, other: MarkFollower<D>) -> Option<MarkFollower<D>> {
        match (first.sent, other.sent) {
            (Sent::InDoubt, Sent::InDoubt) => return Some(other),
            (_, Sent::InDoubt) => {
                let later = std::mem::replace(first, other);
                first.callers.extend(later.callers);
            }
            _ => first.callers.extend(other.callers),
        }
        None
    }

    /// Sorted by id, so that two statements never wait for each other. Of several deliveries of one event,
    /// the first that is still there is first.
    async fn send_batch(
        session: &mut Session<D>,
        mut batch: Batch<Self, UndeliveredMark<D>>,
    ) -> Leftover<Self, UndeliveredMark<D>> {
        let mut waiting = batch.keep_one_of_each(|mark| &mark.id, <Self as BatchRequest<Session<D>>>::merge);
        if let Err(failed) = check_room(session.core()) {
            batch.fail(session, failed);
            return Leftover::waiting(waiting);
        }
        let mut blocked = take_over(session.core().unmark_queue(), &mut batch);
        let mut attempts = batch.begin();
        let marked = {
            let marks: Vec<&Mark> = batch.followers.iter().map(|follower| &follower.request).collect();
            session.send_after(&mut attempts, &MarkEvents(&marks)).await
        };
        match marked {
            Ok(are_first) => {
                let group = Arc::clone(&batch.group);
                for (follower, is_first) in batch.take().into_iter().zip(are_first) {
                    let is_in_doubt = follower.sent == Sent::InDoubt || attempts.has_missed_an_answer();
                    let undelivered = if is_first {
                        UndeliveredMark::first(session.core(), &group, follower.request, is_in_doubt)
                    } else {
                        if is_in_doubt {
                            // An earlier attempt may make the mark as soon as the other one is gone.
                            take_back(session.core(), follower.request, true);
                        }
                        UndeliveredMark::duplicate()
                    };
                    drop(tell_first(undelivered, follower.callers));
                }
            }
            Err(failed) if failed.is_about_one_event() => {
                waiting.extend(blocked.take());
                return batch.fail_or_search(session, waiting, failed);
            }
            Err(failed) => batch.fail(session, failed),
        }
        // They are repeated apart from the others, as if their rows were locked.
        let blocked = blocked.take();
        Leftover { waiting, troubled: (!blocked.is_empty()).then(|| (blocked, being_taken_back())) }
    }
}

/// Goes on with marks of the same events that wait to be taken back. Returns the followers that have to wait until such
/// a mark is gone.
fn take_over<D: Dialect>(
    queue: &UnmarkQueue,
    batch: &mut Batch<Mark, UndeliveredMark<D>>,
) -> Batch<Mark, UndeliveredMark<D>> {
    let mut blocked = Batch::new(&batch.group, Vec::new());
    if !queue.is_empty() {
        for mut follower in batch.take() {
            let next = queue.next_of(&follower.request.id, follower.sent == Sent::InDoubt);
            if let Next::TakeOver(owner) = next {
                follower.request.owner = owner;
                follower.sent = Sent::InDoubt;
            }
            let joined = if next == Next::Wait { &mut blocked } else { &mut *batch };
            joined.followers.push(follower);
        }
    }
    blocked
}
