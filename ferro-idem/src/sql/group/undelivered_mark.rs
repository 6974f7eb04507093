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
            Ok(are_first) if are_first.contains(&true) => Ok(Self::first(core, group, in_doubt.decided())),
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

    pub(super) fn first(core: &Arc<Core<D>>, group: &Arc<MarkGroup<D>>, mark: Mark) -> Self {
        Self { first: Some(MadeMark { core: Arc::clone(core), group: Arc::clone(group), mark }) }
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

impl<D: Dialect> Drop for UndeliveredMark<D> {
    /// A loop, because clients control how many callers are gone: each of them hands the mark back.
    fn drop(&mut self) {
        let Some(mut made) = self.first.take() else { return };
        loop {
            let Some(next) = made.next() else { return take_back(&made.core, made.mark, false) };
            let Err(BatchAnswer::Answer(mut handed_back)) =
                next.tell(BatchAnswer::Answer(Self { first: Some(made) }))
            else {
                return;
            };
            let Some(not_delivered) = handed_back.first.take() else { return };
            made = not_delivered;
        }
    }
}

impl<D: Dialect> MadeMark<D> {
    /// The first caller that queues for the event.
    fn next(&self) -> Option<Caller<UndeliveredMark<D>>> {
        let is_same = |queued: &Mark| queued.id == self.mark.id;
        let queued = never_sent::take_with_callers(self.group.queue().waiting_mut(), is_same);
        let follower = queued.or_else(|| self.group.apart().take_with_callers(&self.mark.id))?;
        // Its other callers are dropped here, outside of the locks.
        follower.callers.into_iter().find(|caller| !caller.is_gone())
    }
}
