//! Marks that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::leader::in_background;
use super::{BatchAnswer, BatchRequest, Follower, MarkGroup, UndeliveredMark, fail_all};
use crate::retry::Attempts;
use crate::sql::core::Core;
use crate::sql::dialect::Dialect;
use crate::sql::event_state::Mark;
use crate::sql::request::MarkEvents;
use crate::sql::session::Session;

type MarkFollower<D> = Follower<Mark, UndeliveredMark<D>>;

impl<D: Dialect> BatchRequest<Session<D>> for Mark {
    type Answer = UndeliveredMark<D>;

    /// Sorted by id, so that two statements never wait for each other. Of several deliveries of one event,
    /// the first that is still there is first.
    async fn send_batch(
        session: &mut Session<D>,
        group: &Arc<MarkGroup<D>>,
        batch: Vec<MarkFollower<D>>,
    ) -> Vec<MarkFollower<D>> {
        let mut events: BTreeMap<Arc<str>, Vec<MarkFollower<D>>> = BTreeMap::new();
        for follower in batch.into_iter().filter(|follower| !follower.is_gone()) {
            events.entry(Arc::clone(&follower.request.id)).or_default().push(follower);
        }
        let marks: Vec<Mark> = events
            .values()
            .filter_map(|followers| followers.first())
            .map(|first| first.request.clone())
            .collect();
        let core = Arc::clone(session.core());
        match session.send(&MarkEvents(&marks.iter().collect::<Vec<_>>())).await {
            Ok(are_first) => {
                for ((mark, is_first), followers) in
                    marks.into_iter().zip(are_first).zip(events.into_values())
                {
                    let undelivered = if is_first {
                        UndeliveredMark::first(&core, group, mark)
                    } else {
                        UndeliveredMark::duplicate()
                    };
                    tell_first(undelivered, followers);
                }
            }
            Err(failed) if failed.is_about_one_event() => {
                for (mark, mut followers) in marks.into_iter().zip(events.into_values()) {
                    if followers.iter().all(Follower::is_gone) {
                        let next = group.queue().take_first(|queued| queued.request.id == mark.id);
                        followers.extend(next);
                    }
                    if followers.iter().all(Follower::is_gone) {
                        UndeliveredMark::give_up(&core, group, mark, &failed);
                    } else {
                        mark_alone(Arc::clone(&core), Arc::clone(group), mark, followers, failed.attempts());
                    }
                }
            }
            Err(failed) => {
                for mark in marks {
                    UndeliveredMark::give_up(&core, group, mark, &failed);
                }
                fail_all(events.into_values().flatten(), failed);
            }
        }
        Vec::new()
    }
}

/// Marks one event in the background, so that no other event waits for it. With the mark of the statement
/// before, and for all its followers: that statement may have made the mark.
fn mark_alone<D: Dialect>(
    core: Arc<Core<D>>,
    group: Arc<MarkGroup<D>>,
    mark: Mark,
    followers: Vec<MarkFollower<D>>,
    attempts: Attempts,
) {
    in_background(async move {
        let Some(sql) = core.full() else { return };
        match UndeliveredMark::make(&core, &group, sql, mark, attempts).await {
            Ok(undelivered) => tell_first(undelivered, followers),
            Err(failed) => fail_all(followers.into_iter(), failed),
        }
    });
}

/// The first follower that is still there gets the mark. The others are duplicates.
fn tell_first<D: Dialect>(mut undelivered: UndeliveredMark<D>, followers: Vec<MarkFollower<D>>) {
    for follower in followers {
        undelivered = match follower.answer.send(BatchAnswer::Answer(undelivered)) {
            Err(BatchAnswer::Answer(undelivered)) => undelivered,
            _ => UndeliveredMark::duplicate(),
        };
    }
}
