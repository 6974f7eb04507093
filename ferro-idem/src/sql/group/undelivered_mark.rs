//! Marks whose callers have not got the answer yet.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::batch::never_sent;
use super::slot::Caller;
use super::take_back::{ensure_worker, take_back};
use super::{BatchAnswer, MarkGroup};
use crate::detach_on_drop::is_detached;
use crate::retry::{Attempt, Attempts, DEADLINE, FaultKind};
use crate::sql::columns::SchemaLevel;
use crate::sql::core::{CompiledSql, Core};
use crate::sql::dialect::Dialect;
use crate::sql::event_state::Mark;
use crate::sql::request::MarkEvents;
use crate::sql::session::{RequestFailed, Session};

/// The answer to a mark on its way to its caller.
///
/// If it is dropped before a caller has it, the mark goes to the next delivery of the event that queues, or is
/// taken back, so that the next delivery runs, unless that one takes it over before. A delivery that is already on
/// its way to the database is told that it is a duplicate.
pub(in crate::sql) struct UndeliveredMark<D: Dialect> {
    first: Option<MadeMark<D>>,
}

struct MadeMark<D: Dialect> {
    core: Arc<Core<D>>,
    group: Arc<MarkGroup<D>>,
    mark: Mark,
    /// An earlier attempt got no answer, and may make the mark once more after it was deleted.
    may_be_made_again: bool,
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
        check_room(core)?;
        let (mark, mut attempts) = if sql.level == SchemaLevel::Full && attempts.next() == Attempt::First {
            take_over(core, mark, attempts).await?
        } else {
            (mark, attempts)
        };
        let in_doubt = InDoubt { core: Some(Arc::clone(core)), mark };
        match Session::for_caller(core).send_with(sql, &mut attempts, &MarkEvents(&[&in_doubt.mark])).await {
            Ok(are_first) if are_first.contains(&true) => {
                let may_be_made_again = attempts.may_have_been_carried_out();
                Ok(Self::first(core, group, in_doubt.decided(), may_be_made_again))
            }
            // An earlier attempt may make the mark as soon as the other one is gone.
            Ok(_) if attempts.may_have_been_carried_out() => {
                drop(in_doubt);
                Ok(Self::duplicate())
            }
            Ok(_) => {
                in_doubt.decided();
                Ok(Self::duplicate())
            }
            Err(failed) => {
                if failed.may_be_carried_out() {
                    drop(in_doubt);
                } else {
                    in_doubt.decided();
                }
                Err(failed)
            }
        }
    }

    pub(super) fn first(
        core: &Arc<Core<D>>,
        group: &Arc<MarkGroup<D>>,
        mark: Mark,
        may_be_made_again: bool,
    ) -> Self {
        let (core, group) = (Arc::clone(core), Arc::clone(group));
        Self { first: Some(MadeMark { core, group, mark, may_be_made_again }) }
    }

    pub(super) fn duplicate() -> Self {
        Self { first: None }
    }

    /// The caller has the answer now.
    pub(in crate::sql) fn into_is_first(mut self) -> bool {
        self.first.take().is_some()
    }
}

/// Goes on with a mark of the event that waits to be taken back. Dropped before its output, it has taken nothing over.
async fn take_over<D: Dialect>(
    core: &Arc<Core<D>>,
    mark: Mark,
    mut attempts: Attempts,
) -> Result<(Mark, Attempts), RequestFailed> {
    let taken_over = {
        let mut taking_over = pin!(core.unmark_queue().take_over(&mark.id));
        let taking_over = poll_fn(|context| match taking_over.as_mut().poll(context) {
            Poll::Ready(owner) => Poll::Ready(Some(owner)),
            Poll::Pending if is_detached() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        attempts.attempt(Some(DEADLINE), taking_over).await
    };
    match taken_over {
        Ok(Some(None)) => Ok((mark, attempts)),
        Ok(Some(Some(owner))) => {
            attempts.count(FaultKind::Unanswered);
            Ok((Mark { owner, ..mark }, attempts))
        }
        Ok(None) | Err(_) => Err(being_taken_back()),
    }
}

/// Nothing is sent, because an earlier mark of the event may be there.
pub(super) fn being_taken_back() -> RequestFailed {
    RequestFailed::not_sent(
        "mark the event as processed",
        "an earlier mark of the event is still being taken back",
    )
}

/// A mark whose statement is at the database. Dropped, it is taken back.
struct InDoubt<D: Dialect> {
    core: Option<Arc<Core<D>>>,
    mark: Mark,
}

impl<D: Dialect> InDoubt<D> {
    fn decided(mut self) -> Mark {
        self.core = None;
        self.mark.clone()
    }
}

impl<D: Dialect> Drop for InDoubt<D> {
    fn drop(&mut self) {
        if let Some(core) = &self.core
            && core.full().is_some()
        {
            take_back(core, self.mark.clone(), true);
        }
    }
}

/// Makes no mark that could not be taken back.
pub(super) fn check_room<D: Dialect>(core: &Arc<Core<D>>) -> Result<(), RequestFailed> {
    ensure_worker(core);
    if core.unmark_queue().has_room() {
        return Ok(());
    }
    Err(RequestFailed::not_sent(
        "mark the event as processed",
        "too many marks without a caller wait for the database to be taken back",
    ))
}

/// The first caller that is still there gets the answer. The others are duplicates. Returns a mark that no caller got.
pub(super) fn tell_first<D: Dialect>(
    mut undelivered: UndeliveredMark<D>,
    callers: Vec<Caller<UndeliveredMark<D>>>,
) -> UndeliveredMark<D> {
    for caller in callers {
        undelivered = match caller.tell(BatchAnswer::Answer(undelivered)) {
            Err(BatchAnswer::Answer(undelivered)) => undelivered,
            _ => UndeliveredMark::duplicate(),
        };
    }
    undelivered
}

impl<D: Dialect> Drop for UndeliveredMark<D> {
    /// A loop, because clients control how many callers are gone: each of them hands the mark back.
    fn drop(&mut self) {
        while let Some(made) = self.first.take() {
            match made.next() {
                Some(callers) => self.first = tell_first(Self { first: Some(made) }, callers).first.take(),
                None => take_back(&made.core, made.mark, made.may_be_made_again),
            }
        }
    }
}

impl<D: Dialect> MadeMark<D> {
    /// The callers that queue for the event.
    fn next(&self) -> Option<Vec<Caller<UndeliveredMark<D>>>> {
        let is_same = |queued: &Mark| queued.id == self.mark.id;
        let queued = never_sent::take_with_callers(self.group.queue().waiting_mut(), is_same);
        let follower = queued.or_else(|| self.group.apart().take_with_callers(&self.mark.id))?;
        Some(follower.callers)
    }
}
