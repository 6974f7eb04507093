//! From the begin to the commit, whatever happens in between.

use std::future::Future;
use std::ops::DerefMut;
use std::panic::Location;
use std::pin::Pin;

use super::{Detached, MarkOutcome, TransactionalLog};
use crate::detach_on_drop::DetachOnDrop;
use crate::entry::Entry;
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::nesting::{Frame, Handler};
use crate::running::Running;
use crate::trace::{Delivery, Interruption};

/// A transaction that holds the mark. Dropped before it is settled (a panic, a hang-up), it rolls
/// back.
///
/// On the heap, because it stays in the handler's own future while the body runs. Over the
/// transaction and not over its log, so that a log without transactions is one error, where
/// it is asked for one.
pub struct OpenTransaction<T>(Box<Parts<T>>);

struct Parts<T> {
    transaction: T,
    commit: fn(T) -> Detached<()>,
    rollback: fn(T) -> Detached<()>,
    end: TracedEnd,
}

/// Tells the trace if a transaction is dropped. A type of its own, because `OpenTransaction` is taken apart when it
/// is settled.
struct TracedEnd {
    running: Running,
    settled: bool,
}

impl Drop for TracedEnd {
    fn drop(&mut self) {
        if !self.settled {
            self.running.delivery.released(Interruption::of_this_drop().as_str(), None);
        }
    }
}

/// Begins, and marks the event inside.
///
/// The begin finishes in the background when it is dropped: a pool must not get a connection back whose begin
/// is still on the way.
#[track_caller]
pub fn begin<'a, L, T>(
    log: &'a L,
    key: Result<EventRef<'a>, InvalidEventId>,
) -> Pin<Box<dyn Future<Output = Entry<OpenTransaction<T>>> + Send + 'a>>
where
    L: TransactionalLog<Transaction = T>,
    T: Send + 'a,
{
    Box::pin(begin_marked(log, key, Location::caller()))
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
            // What was found stands, and what cannot be rolled back is never committed.
            drop(DetachOnDrop::new(L::rollback(transaction)).await);
            return Ok((None, outcome, event, frame));
        }
        Ok((Some(transaction), outcome, event, frame))
    };
    match marked.await {
        Ok((Some(transaction), _, _, frame)) => {
            delivery.first(1, frame.event);
            let end = TracedEnd { running: Running { frame, delivery }, settled: false };
            let (commit, rollback) = (L::commit, L::rollback);
            Entry::Run(OpenTransaction(Box::new(Parts { transaction, commit, rollback, end })))
        }
        Ok((None, MarkOutcome::InProgress { retry_after }, event, frame)) => {
            delivery.in_progress(retry_after, frame.event);
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
    /// What the body works on (not the transaction, so that it can neither commit nor roll back),
    /// and what runs it.
    pub fn parts(&mut self) -> (&mut T::Target, &Running) {
        (&mut self.0.transaction, &self.0.end.running)
    }

    /// Commits, or rolls back.
    ///
    /// Both finish in the background when the caller is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if nothing was committed, or if that is unknown.
    pub async fn settle(self, processed: bool) -> Result<(), Error> {
        let Parts { transaction, commit, rollback, mut end } = *self.0;
        end.settled = true;
        if processed {
            let committed = DetachOnDrop::new(commit(transaction)).await;
            match &committed {
                Ok(()) => end.running.delivery.completed(),
                Err(error) => end.running.delivery.failed(error),
            }
            committed
        } else {
            end.running.delivery.released("the handler's reply was not a success", None);
            // The reply is a failure as it is, and what cannot be rolled back is never committed.
            drop(DetachOnDrop::new(rollback(transaction)).await);
            Ok(())
        }
    }
}
