//! Marks that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Group, Sharing, Told, UndeliveredMark, Waiter, fail_all, in_a_task};
use crate::retry::Attempts;
use crate::sql::SqlLog;
use crate::sql::dialect::{Dialect, Mark};
use crate::sql::request::Marks;
use crate::sql::session::Session;

type Waiting<D> = Waiter<Mark, UndeliveredMark<D>>;

impl<D: Dialect> Sharing<Session<D>> for Mark {
    type Answer = UndeliveredMark<D>;

    fn group<'g>(&self, session: &'g Session<D>) -> &'g Arc<Group<Self, UndeliveredMark<D>>> {
        &session.log().table.groups.marks
    }

    /// Sorted by id, so that two statements never wait for each other. Of several deliveries of one
    /// event the first that is still there is first.
    async fn carry_out(session: &mut Session<D>, batch: Vec<Waiting<D>>) -> Vec<Waiting<D>> {
        let mut events: BTreeMap<Arc<str>, Vec<Waiting<D>>> = BTreeMap::new();
        for waiter in batch.into_iter().filter(|waiter| !waiter.is_gone()) {
            events.entry(Arc::clone(&waiter.request.id)).or_default().push(waiter);
        }
        let marks: Vec<Mark> = events
            .values()
            .filter_map(|waiters| waiters.first())
            .map(|first| first.request.clone())
            .collect();
        match session.ask(&Marks(&marks.iter().collect::<Vec<_>>())).await {
            Ok(are_first) => {
                for ((mark, is_first), waiters) in marks.into_iter().zip(are_first).zip(events.into_values())
                {
                    let undelivered = if is_first {
                        UndeliveredMark::first(session.log(), mark)
                    } else {
                        UndeliveredMark::duplicate()
                    };
                    tell_first(undelivered, waiters);
                }
            }
            Err(unanswered) if unanswered.is_about_one_event() => {
                for (mark, mut waiters) in marks.into_iter().zip(events.into_values()) {
                    if waiters.iter().all(Waiter::is_gone) {
                        let mut queue = session.log().table.groups.marks.queue();
                        waiters.extend(queue.take_first(|queued| queued.request.id == mark.id));
                    }
                    if waiters.iter().all(Waiter::is_gone) {
                        UndeliveredMark::given_up(session.log(), mark, &unanswered);
                    } else {
                        ask_alone(session.log().clone(), mark, waiters, unanswered.attempts());
                    }
                }
            }
            Err(unanswered) => {
                for mark in marks {
                    UndeliveredMark::given_up(session.log(), mark, &unanswered);
                }
                fail_all(events.into_values().flatten(), unanswered);
            }
        }
        Vec::new()
    }
}

/// In a task, so that no other event waits for this one. With the mark of the statement before, and for all
/// who wait: that one may have made it, and whoever is still there is then first by it.
fn ask_alone<D: Dialect>(log: SqlLog<D>, mark: Mark, waiters: Vec<Waiting<D>>, attempts: Attempts) {
    let asking = async move {
        let Some(statements) = log.table.full.get() else { return };
        match log.mark_alone(statements, mark, attempts).await {
            Ok(undelivered) => tell_first(undelivered, waiters),
            Err(unanswered) => fail_all(waiters.into_iter(), unanswered),
        }
    };
    in_a_task(asking);
}

/// Whoever is still there hears it, and the others are duplicates.
fn tell_first<D: Dialect>(mut undelivered: UndeliveredMark<D>, waiters: Vec<Waiting<D>>) {
    for waiter in waiters {
        undelivered = match waiter.answer.send(Told::Answer(undelivered)) {
            Err(Told::Answer(undelivered)) => undelivered,
            _ => UndeliveredMark::duplicate(),
        };
    }
}
