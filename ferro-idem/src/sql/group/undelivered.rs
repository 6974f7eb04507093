//! Marks that nobody has heard of yet.

use super::{Told, Waiter, in_a_task};
use crate::retry::{Attempts, FaultKind};
use crate::sql::SqlLog;
use crate::sql::dialect::{Dialect, Mark};
use crate::sql::request::Unmark;
use crate::sql::session::{Session, Unanswered};

/// Whether a mark is first, and its caller has not heard of it yet.
///
/// Dropped undelivered, it goes to the next delivery that queues, or the mark is taken back, so that the next
/// delivery of an event whose body never had the chance to run is first. One that was already on its way to
/// the database is told that it is a duplicate.
pub(in crate::sql) struct UndeliveredMark<D: Dialect> {
    first: Option<Made<D>>,
}

struct Made<D: Dialect> {
    log: SqlLog<D>,
    mark: Mark,
    /// Whether it was made is not known, and it may yet be.
    is_in_doubt: bool,
}

impl<D: Dialect> UndeliveredMark<D> {
    pub(in crate::sql) fn first(log: &SqlLog<D>, mark: Mark) -> Self {
        Self { first: Some(Made { log: log.clone(), mark, is_in_doubt: false }) }
    }

    pub(in crate::sql) fn duplicate() -> Self {
        Self { first: None }
    }

    /// Takes back what a statement that got no answer may have made.
    pub(in crate::sql) fn given_up(log: &SqlLog<D>, mark: Mark, unanswered: &Unanswered) {
        if unanswered.may_be_carried_out() {
            Made { log: log.clone(), mark, is_in_doubt: true }.take_back_later();
        }
    }

    /// The caller has it now.
    pub(in crate::sql) fn into_is_first(mut self) -> bool {
        self.first.take().is_some()
    }
}

impl<D: Dialect> Drop for UndeliveredMark<D> {
    fn drop(&mut self) {
        let Some(made) = self.first.take() else { return };
        match made.next() {
            Some(next) => next.tell(Told::Answer(Self { first: Some(made) })),
            None => made.take_back_later(),
        }
    }
}

impl<D: Dialect> Made<D> {
    /// Whoever queues for the event.
    fn next(&self) -> Option<Waiter<Mark, UndeliveredMark<D>>> {
        let marks = &self.log.table.groups.marks;
        marks.queue().take_first(|waiter| waiter.request.id == self.mark.id)
    }

    fn take_back_later(self) {
        in_a_task(self.take_back());
    }

    /// A statement that got no answer may be carried out behind the one that takes its mark back, so that
    /// one is repeated for a while, whatever it met.
    async fn take_back(self) {
        let mut session = Session::of_one(&self.log);
        let mut times = Attempts::new();
        while session.ask(&Unmark(&self.mark)).await.is_ok() {
            if !self.is_in_doubt || !times.again_after(FaultKind::Passing).await {
                return;
            }
        }
    }
}
