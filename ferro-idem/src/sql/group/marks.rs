//! Marks that share a statement.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Follower, Leftover, Sent, answer_with_error};
use super::slot::Caller;
use super::take_back::take_back;
use super::undelivered_mark::check_room;
use super::{BatchAnswer, BatchRequest, MarkGroup, UndeliveredMark, max_unpolled};
use crate::sql::dialect::Dialect;
use crate::sql::event_state::Mark;
use crate::sql::request::MarkEvents;
use crate::sql::session::{RequestFailed, Session};

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
        let waiting = batch.keep_one_of_each(|mark| &mark.id, <Self as BatchRequest<Session<D>>>::merge);
        if let Err(failed) = check_room(session.core()) {
            fail(session, &mut batch, failed);
            return Leftover::waiting(waiting);
        }
        let attempts = batch.begin();
        let marked = {
            let marks: Vec<&Mark> = batch.followers.iter().map(|follower| &follower.request).collect();
            session.send_after(attempts, &MarkEvents(&marks)).await
        };
        match marked {
            Ok(are_first) => {
                let group = Arc::clone(&batch.group);
                for (follower, is_first) in batch.take().into_iter().zip(are_first) {
                    let undelivered = if is_first {
                        UndeliveredMark::first(session.core(), &group, follower.request)
                    } else {
                        UndeliveredMark::duplicate()
                    };
                    tell_first(undelivered, follower.callers);
                }
                Leftover::waiting(waiting)
            }
            Err(failed) if failed.is_about_one_event() => {
                Leftover { waiting, troubled: Some((batch.take_failed(&failed), failed)) }
            }
            Err(failed) => {
                fail(session, &mut batch, failed);
                Leftover::waiting(waiting)
            }
        }
    }
}

fn fail<D: Dialect>(
    session: &Session<D>,
    batch: &mut Batch<Mark, UndeliveredMark<D>>,
    failed: RequestFailed,
) {
    let group = Arc::clone(&batch.group);
    let followers = batch.take_failed(&failed);
    let error_for_each = failed.into_errors();
    for follower in followers {
        answer_with_error(session, &group, follower, &error_for_each);
    }
}

/// The first caller that is still there gets the mark. The others are duplicates.
fn tell_first<D: Dialect>(mut undelivered: UndeliveredMark<D>, callers: Vec<Caller<UndeliveredMark<D>>>) {
    for caller in callers {
        undelivered = match caller.tell(BatchAnswer::Answer(undelivered)) {
            Err(BatchAnswer::Answer(undelivered)) => undelivered,
            _ => UndeliveredMark::duplicate(),
        };
    }
}
