//! Begins the transaction, marks the event, and commits or rolls back after the body.

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;

use super::{CommittedEarly, Detached, MarkOutcome, TransactionalLog};
use crate::delivery::Delivery;
use crate::detach_on_drop::DetachOnDrop;
use crate::entry::Entry;
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::nesting::{Frame, Handler};
use crate::observed;
use crate::reply::failure::{Failure, NO_SUCCESS};
use crate::running::Running;

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

/// Begins, and marks the event inside.
///
/// If the future is dropped, the begin finishes in the background: the pool must not get a connection back
/// whose `BEGIN` is not answered yet.
pub fn begin<'a, L, T>(
    log: &'a L,
    key: Result<EventRef<'a>, InvalidEventId>,
    handler: Handler,
) -> Pin<Box<dyn Future<Output = Entry<OpenTransaction<T>>> + Send + 'a>>
where
    L: TransactionalLog<Transaction = T>,
    T: Send + 'a,
{
    Box::pin(begin_marked(log, key, handler))
}

async fn begin_marked<L: TransactionalLog>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
    handler: Handler,
) -> Entry<OpenTransaction<L::Transaction>> {
    let delivery = Delivery::new("transaction", handler, key.ok());
    let marked = async {
        let event = key?;
        let frame = Frame::new(log.store_id(), event.id(), handler)?;
        let mut transaction = DetachOnDrop::new(log.begin()).await?;
        let outcome = log.try_mark_in(&mut transaction, event).await?;
        if outcome != MarkOutcome::First {
            // If the rollback fails, the outcome is the same: the server never commits the transaction.
            drop(DetachOnDrop::new(L::rollback(transaction)).await);
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
            Entry::Run(OpenTransaction(Box::new(Parts { transaction, commit, rollback, end })))
        }
        Ok((None, MarkOutcome::InProgress { retry_after }, event, frame)) => {
            delivery.in_progress(retry_after, frame.event);
            observed::in_progress(retry_after);
            Entry::Failed(Error::InProgress { event_id: event.id().to_owned(), retry_after })
        }
        Ok((None, _, _, frame)) => {
            delivery.duplicate(frame.event);
            Entry::Duplicate
        }
        Err(error) => {
            delivery.failed(&error);
            Entry::Failed(error)
        }
    }
}

impl<T: DerefMut + Send + 'static> OpenTransaction<T> {
    /// The target of the transaction for the body, and the handle that runs the body. The body does not get
    /// the transaction itself, so that it can neither commit nor roll back.
    pub fn parts(&mut self) -> (&mut T::Target, &Running) {
        (&mut self.0.transaction, &self.0.end.running)
    }

    /// Commits, or rolls back.
    ///
    /// If the caller is dropped, either finishes in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if nothing was committed, or if that is unknown.
    pub async fn settle(self, failure: Option<Failure>) -> Result<(), Error> {
        let Parts { transaction, commit, rollback, mut end } = *self.0;
        end.settled = true;
        let Some(failure) = failure else {
            let committed = DetachOnDrop::new(commit(transaction)).await;
            match &committed {
                Ok(()) => end.running.delivery.completed(),
                Err(error) => end.running.delivery.failed(error),
            }
            return committed;
        };
        end.running.delivery.released(NO_SUCCESS, &failure);
        match DetachOnDrop::new(rollback(transaction)).await {
            Err(error) if CommittedEarly::is_source_of(&error) => {
                end.running.delivery.failed(&error);
                Err(error)
            }
            // If the rollback fails, the reply is a failure in any case, and the server never commits the
            // transaction.
            _ => Ok(()),
        }
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

/// Commits or rolls back, depending on the body's reply.
///
/// # Errors
///
/// If the transaction cannot be committed or rolled back.
pub fn settle_transaction<T: DerefMut + Send + 'static, R>(
    open: OpenTransaction<T>,
    mut reply: R,
    is_processed: impl FnOnce(&mut R) -> bool,
    failure: impl FnOnce(&R) -> Failure,
) -> impl Future<Output = Result<R, Error>> {
    let failure = open.0.end.running.enter(|| (!is_processed(&mut reply)).then(|| failure(&reply)));
    let settling = open.settle(failure);
    async move {
        settling.await?;
        Ok(reply)
    }
}
