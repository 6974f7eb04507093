//! Marks that no caller has heard of yet.

use std::sync::Arc;

use super::leader::in_background;
use super::{BatchAnswer, MarkGroup};
use crate::retry::{Attempts, FaultKind};
use crate::sql::core::{CompiledSql, Core};
use crate::sql::dialect::Dialect;
use crate::sql::event_state::Mark;
use crate::sql::request::{MarkEvents, UnmarkEvents};
use crate::sql::session::{RequestFailed, Session};

/// The answer to a mark on its way to its caller.
///
/// If it is dropped before a caller has it, the mark goes to the next delivery of the event that queues, or is
/// taken back, so that the next delivery runs. A delivery that is already on its way to the database is told
/// that it is a duplicate.
pub(in crate::sql) struct UndeliveredMark<D: Dialect> {
    first: Option<MadeMark<D>>,
}

struct MadeMark<D: Dialect> {
    core: Arc<Core<D>>,
    group: Arc<MarkGroup<D>>,
    mark: Mark,
    /// Whether the mark was made is not known, and it may still be made.
    is_in_doubt: bool,
}

impl<D: Dialect> UndeliveredMark<D> {
    /// Marks one event in a statement of its own.
    pub(in crate::sql) async fn make(
        core: &Arc<Core<D>>,
        group: &Arc<MarkGroup<D>>,
        sql: &CompiledSql<D>,
        mark: Mark,
        attempts: Attempts,
    ) -> Result<Self, RequestFailed> {
        match Session::for_caller(core).send_with(sql, attempts, &MarkEvents(&[&mark])).await {
            Ok(are_first) if are_first.contains(&true) => Ok(Self::first(core, group, mark)),
            Ok(_) => Ok(Self::duplicate()),
            Err(failed) => {
                Self::give_up(core, group, mark, &failed);
                Err(failed)
            }
        }
    }

    pub(super) fn first(core: &Arc<Core<D>>, group: &Arc<MarkGroup<D>>, mark: Mark) -> Self {
        Self { first: Some(MadeMark::new(core, group, mark)) }
    }

    pub(super) fn duplicate() -> Self {
        Self { first: None }
    }

    /// Takes back a mark that a failed request may have made.
    pub(super) fn give_up(
        core: &Arc<Core<D>>,
        group: &Arc<MarkGroup<D>>,
        mark: Mark,
        failed: &RequestFailed,
    ) {
        if failed.may_be_carried_out() {
            MadeMark { is_in_doubt: true, ..MadeMark::new(core, group, mark) }.take_back_later();
        }
    }

    /// The caller has the answer now.
    pub(in crate::sql) fn into_is_first(mut self) -> bool {
        self.first.take().is_some()
    }
}

impl<D: Dialect> Drop for UndeliveredMark<D> {
    /// A loop, because clients control how many callers are gone: each of them hands the mark back.
    fn drop(&mut self) {
        let Some(mut made) = self.first.take() else { return };
        loop {
            let next = made.group.queue().take_first(|follower| follower.request.id == made.mark.id);
            let Some(next) = next else { return made.take_back_later() };
            let Err(BatchAnswer::Answer(mut handed_back)) =
                next.answer.send(BatchAnswer::Answer(Self { first: Some(made) }))
            else {
                return;
            };
            let Some(not_delivered) = handed_back.first.take() else { return };
            made = not_delivered;
        }
    }
}

impl<D: Dialect> MadeMark<D> {
    fn new(core: &Arc<Core<D>>, group: &Arc<MarkGroup<D>>, mark: Mark) -> Self {
        Self { core: Arc::clone(core), group: Arc::clone(group), mark, is_in_doubt: false }
    }

    fn take_back_later(self) {
        in_background(self.take_back());
    }

    /// A statement without an answer may be carried out after the one that takes its mark back, so that one
    /// is repeated for a while.
    async fn take_back(self) {
        let mut session = Session::for_caller(&self.core);
        let mut repeats = Attempts::new();
        while session.send(&UnmarkEvents(&[&self.mark])).await.is_ok() {
            if !self.is_in_doubt || !repeats.again_after(FaultKind::Passing).await {
                return;
            }
        }
    }
}
