//! Marks that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Group, Sharing, Told, Waiter, tell_all};
use crate::sql::SqlLog;
use crate::sql::dialect::{Dialect, Mark};
use crate::sql::line::Line;
use crate::sql::question::{Marks, Unmark};

impl<D: Dialect> Sharing<Line<D>> for Mark {
    type Answer = Unheard<D>;

    fn group<'g>(&self, line: &'g Line<D>) -> &'g Arc<Group<Self, Unheard<D>>> {
        &line.log().table.groups.marks
    }

    /// Sorted by id, so that two statements never wait for each other. Of several deliveries of one
    /// event the first that is still there is first.
    async fn carry_out(
        line: &mut Line<D>,
        batch: Vec<Waiter<Self, Unheard<D>>>,
    ) -> Vec<Waiter<Self, Unheard<D>>> {
        let mut events: BTreeMap<Arc<str>, Vec<Waiter<Self, Unheard<D>>>> = BTreeMap::new();
        for waiter in batch.into_iter().filter(|waiter| !waiter.is_gone()) {
            events.entry(Arc::clone(&waiter.request.id)).or_default().push(waiter);
        }
        let marks: Vec<Mark> = events
            .values()
            .filter_map(|waiters| waiters.first())
            .map(|first| first.request.clone())
            .collect();
        match line.ask(&Marks(&marks.iter().collect::<Vec<_>>())).await {
            Ok(are_first) => {
                for ((mark, is_first), waiters) in marks.into_iter().zip(are_first).zip(events.into_values())
                {
                    let unheard =
                        if is_first { Unheard::first(line.log(), mark) } else { Unheard::duplicate() };
                    tell_first(unheard, waiters);
                }
            }
            Err(unanswered) => tell_all(events.into_values().flatten(), unanswered),
        }
        Vec::new()
    }
}

/// Whoever is still there hears it, and the others are duplicates.
fn tell_first<D: Dialect>(mut unheard: Unheard<D>, waiters: Vec<Waiter<Mark, Unheard<D>>>) {
    for waiter in waiters {
        unheard = match waiter.answer.send(Told::Answer(unheard)) {
            Err(Told::Answer(unheard)) => unheard,
            _ => Unheard::duplicate(),
        };
    }
}

/// Whether a mark is first, and its caller has not heard of it yet.
///
/// Dropped unheard, it goes to the next delivery that queues, or the mark is taken back, so that the next
/// delivery of an event whose body never had the chance to run is first. One that was already on its way to
/// the database is told that it is a duplicate.
pub(in crate::sql) struct Unheard<D: Dialect> {
    first: Option<(SqlLog<D>, Mark)>,
}

impl<D: Dialect> Unheard<D> {
    pub(in crate::sql) fn first(log: &SqlLog<D>, mark: Mark) -> Self {
        Self { first: Some((log.clone(), mark)) }
    }

    pub(in crate::sql) fn duplicate() -> Self {
        Self { first: None }
    }

    /// The caller has it now.
    pub(in crate::sql) fn into_is_first(mut self) -> bool {
        self.first.take().is_some()
    }
}

impl<D: Dialect> Drop for Unheard<D> {
    fn drop(&mut self) {
        let Some((log, mark)) = self.first.take() else { return };
        let next = log.table.groups.marks.queue().take_first(|waiter| waiter.request.id == mark.id);
        if let Some(next) = next {
            next.tell(Told::Answer(Self::first(&log, mark)));
        } else if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(Line::of_one(&log).ask(&Unmark(&mark)).await) });
        }
    }
}
