//! Begins the transaction, marks the event, and commits or rolls back after the body.

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{CommittedEarly, Detached, MarkOutcome, TransactionalLog};
use crate::delivery::Delivery;
use crate::detach_on_drop::DetachOnDrop;
use crate::entry::{Entry, Seen};
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::nesting::{Frame, Handler};
use crate::observed;
use crate::reply::failure::{Failure, NO_SUCCESS};
use crate::running::Running;
use crate::steps::{self, Refusal, Step, step};

/// A transaction that holds the mark. Dropped before it is settled (a panic, a hang-up), it rolls
/// back.
///
/// It is on the heap, because it is part of the handler's future while the body runs. It is generic over the
/// transaction and not over the log, so that a log without transactions leads to one compile error, at
/// `begin`.
pub struct OpenTransaction<T>(Box<Parts<T>>);

struct Parts<T> {
    transaction: T,
    commit: fn(T) -> Detached<()>,
    rollback: fn(T) -> Detached<()>,
    end: TracedEnd,
}

/// Traces that a transaction was dropped. This is a separate type, because settling moves fields out of
/// `OpenTransaction`.
struct TracedEnd {
    running: Running,
    settled: bool,
}

impl Drop for TracedEnd {
    fn drop(&mut self) {
        if !self.settled {
            let reason = self.running.interruption().as_str();
            self.running.delivery.released(reason, &Failure::default());
        }
    }
}

/// A name for the boxed future, because the compiler would look into its type in each handler.
#[must_use = "nothing happens until this is awaited"]
pub struct Beginning<'log, T>(Pin<Box<dyn Future<Output = Entry<OpenTransaction<T>>> + Send + 'log>>);

impl<T> Future for Beginning<'_, T> {
    type Output = Entry<OpenTransaction<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

/// Begins, and marks the event inside.
///
/// If the future is dropped, the begin finishes in the background: the pool must not get a connection back
/// whose `BEGIN` is not answered yet.
///
/// `T` has no bounds, because the compiler would prove them in each handler, through all of the driver's types.
pub fn begin<'a, L, T>(
    log: &'a L,
    key: Result<EventRef<'a>, InvalidEventId>,
    handler: Handler,
) -> Beginning<'a, T>
where
    L: TransactionalLog<Transaction = T>,
{
    boxed(log, key, handler)
}

/// [`begin`], where the contract says that the transaction is `Send`.
fn boxed<'a, L: TransactionalLog>(
    log: &'a L,
    key: Result<EventRef<'a>, InvalidEventId>,
    handler: Handler,
) -> Beginning<'a, L::Transaction> {
    Beginning(Box::pin(async move {
        match begin_marked(log, key, handler).await {
            Begun::Run(open) => Entry::Run(open),
            Begun::Processed(seen) => {
                seen.delivery.duplicate(seen.frame.event);
                Entry::Duplicate
            }
            Begun::Failed(error) => Entry::Failed(error),
        }
    }))
}

/// The result of a begin and a mark. A failure is traced, a duplicate is not yet.
pub(crate) enum Begun<T> {
    Run(OpenTransaction<T>),
    Processed(Seen),
    Failed(Error),
}

pub(crate) async fn begin_marked<L: TransactionalLog>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
    handler: Handler,
) -> Begun<L::Transaction> {
    let delivery = Delivery::new("transaction", handler, key.ok());
    let marked = async {
        let event = key?;
        let frame = Frame::new(log.store_id(), event.id(), handler)?;
        let mut transaction = DetachOnDrop::new(step(Step::Begin, log.begin())).await?;
        let outcome = step(Step::MarkInTransaction, log.try_mark_in(&mut transaction, event)).await?;
        if outcome != MarkOutcome::First {
            // If the rollback fails, the outcome is the same: the server never commits the transaction.
            drop(DetachOnDrop::new(step(Step::Rollback, L::rollback(transaction))).await);
            if outcome == MarkOutcome::Processed {
                frame.refuse_nested_duplicate(event.id())?;
            }
            return Ok((None, outcome, event, frame));
        }
        Ok((Some(transaction), outcome, event, frame))
    };
    match marked.await {
        Ok((Some(transaction), _, _, frame)) => {
            delivery.begun(None, frame.event);
            let end = TracedEnd { running: Running::new(frame, delivery), settled: false };
            let (commit, rollback) = (L::commit, L::rollback);
            Begun::Run(OpenTransaction(Box::new(Parts { transaction, commit, rollback, end })))
        }
        Ok((None, MarkOutcome::InProgress { retry_after }, event, frame)) => {
            steps::refused(Refusal::InProgress);
            delivery.in_progress(retry_after, frame.event);
            observed::in_progress(retry_after);
            Begun::Failed(Error::InProgress { event_id: event.id().to_owned(), retry_after })
        }
        Ok((None, _, event, frame)) => {
            steps::refused(Refusal::Duplicate);
            Begun::Processed(Seen { event_id: event.id().to_owned(), frame, delivery })
        }
        Err(error) => {
            delivery.failed(&error);
            Begun::Failed(error)
        }
    }
}

impl<T: DerefMut> OpenTransaction<T> {
    /// The target of the transaction for the body, and the handle that runs the body. The body does not get
    /// the transaction itself, so that it can neither commit nor roll back.
    pub fn parts(&mut self) -> (&mut T::Target, &Running) {
        (&mut self.0.transaction, &self.0.end.running)
    }
}

#[cfg(feature = "replay")]
impl<T> OpenTransaction<T> {
    pub(crate) fn running(&self) -> &Running {
        &self.0.end.running
    }

    pub(crate) fn transaction(&mut self) -> &mut T {
        &mut self.0.transaction
    }

    /// Commits, or rolls back because of a failure. If the caller is dropped, either finishes in the background.
    pub(crate) async fn end(self, failure: Option<Failure>) -> Result<(), Error> {
        let Parts { transaction, commit, rollback, end } = *self.0;
        let end_transaction = if failure.is_none() { commit } else { rollback };
        settle(end_transaction(transaction), failure, end).await
    }

    /// Rolls back because of an error that is neither the body's nor that of a commit.
    pub(crate) async fn fail(self, error: Error) -> Error {
        let Parts { transaction, rollback, mut end, .. } = *self.0;
        end.settled = true;
        end.running.delivery.failed(&error);
        // If the rollback fails, the server never commits the transaction.
        drop(DetachOnDrop::new(step(Step::Rollback, rollback(transaction))).await);
        error
    }
}

/// Runs the body within the delivery's span, and drops it.
///
/// Not an `async fn`, for the same reason as [`run_claimed`](crate::claim::run_claimed).
#[allow(clippy::manual_async_fn)]
pub fn run_in_transaction<F: Future>(
    running: &Running,
    mut body: Pin<Box<F>>,
) -> impl Future<Output = F::Output> {
    async move { running.run(body.as_mut()).await }
}

/// Commits or rolls back, depending on the body's reply. If the caller is dropped, either finishes in the background.
///
/// `T` has no bounds, as in [`begin`].
pub fn settle_transaction<T, R>(
    open: OpenTransaction<T>,
    reply: R,
    is_processed: impl FnOnce(&R) -> bool,
    failure: impl FnOnce(&R) -> Failure,
) -> Settling<R> {
    let failure = open.0.end.running.enter(|| (!is_processed(&reply)).then(|| failure(&reply)));
    let Parts { transaction, commit, rollback, end } = *open.0;
    let end_transaction = if failure.is_none() { commit } else { rollback };
    Settling { ending: Box::pin(settle(end_transaction(transaction), failure, end)), reply: Some(reply) }
}

/// The end of a transaction, and then the body's reply.
#[must_use = "nothing happens until this is awaited"]
pub struct Settling<R> {
    ending: Detached<()>,
    reply: Option<R>,
}

impl<R> Unpin for Settling<R> {}

impl<R> Future for Settling<R> {
    /// An error if nothing was committed, or if that is unknown.
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(self.ending.as_mut().poll(context));
        match (ended, self.reply.take()) {
            (Ok(()), Some(reply)) => Poll::Ready(Ok(reply)),
            (Err(error), _) => Poll::Ready(Err(error)),
            // Only a future that is polled after its end gets here.
            (Ok(()), None) => Poll::Pending,
        }
    }
}

/// Waits for the commit, or for the rollback after a failure.
async fn settle(ending: Detached<()>, failure: Option<Failure>, mut end: TracedEnd) -> Result<(), Error> {
    end.settled = true;
    let Some(failure) = failure else {
        let committed = DetachOnDrop::new(step(Step::Commit, ending)).await;
        match &committed {
            Ok(()) => end.running.delivery.completed(),
            Err(error) => end.running.delivery.failed(error),
        }
        return committed;
    };
    end.running.delivery.released(NO_SUCCESS, &failure);
    match DetachOnDrop::new(step(Step::Rollback, ending)).await {
        Err(error) if CommittedEarly::is_source_of(&error) => {
            end.running.delivery.failed(&error);
            Err(error)
        }
        // If the rollback fails, the reply is a failure in any case, and the server never commits the
        // transaction.
        _ => Ok(()),
    }
}
