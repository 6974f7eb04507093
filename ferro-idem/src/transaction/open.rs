//! From the begin to the commit, whatever happens in between.

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;

use super::{Detached, MarkOutcome, TransactionalLog};
use crate::detach_on_drop::DetachOnDrop;
use crate::entry::Entry;
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::trace::Delivery;

/// A transaction that holds the mark. Dropped before it is settled (a panic, a hang-up), it rolls
/// back.
///
/// On the heap, because it stays in the handler's own future while the body runs. Over the
/// transaction and not over its log, so that a log without transactions is one error, where
/// it is asked for one.
pub struct Open<T>(Box<Parts<T>>);

struct Parts<T> {
    transaction: T,
    commit: fn(T) -> Detached<()>,
    rollback: fn(T) -> Detached<()>,
    settling: Settling,
}

/// Tells the trace that a transaction was dropped: `Open` itself has to come apart to be settled.
struct Settling {
    delivery: Delivery,
    settled: bool,
}

impl Drop for Settling {
    fn drop(&mut self) {
        if !self.settled {
            self.delivery.released("the handler panicked or was dropped");
        }
    }
}

/// Begins, and marks the event inside.
///
/// The begin is seen through when it is dropped: a pool must not get a connection back whose begin
/// is still on the way.
pub fn begin<'a, L, T>(
    log: &'a L,
    key: Result<EventRef<'a>, InvalidEventId>,
) -> Pin<Box<dyn Future<Output = Entry<Open<T>>> + Send + 'a>>
where
    L: TransactionalLog<Transaction = T>,
    T: Send + 'a,
{
    Box::pin(begin_marked(log, key))
}

async fn begin_marked<L: TransactionalLog>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
) -> Entry<Open<L::Transaction>> {
    let delivery = Delivery::new("transaction", key.ok());
    let marked = async {
        let event = key?;
        let mut transaction = DetachOnDrop::new(log.begin()).await?;
        let outcome = log.try_mark_in(&mut transaction, event).await?;
        if outcome != MarkOutcome::First {
            // What was found stands, and what cannot be rolled back is never committed.
            drop(DetachOnDrop::new(L::rollback(transaction)).await);
            return Ok((None, outcome, event));
        }
        Ok((Some(transaction), outcome, event))
    };
    match marked.await {
        Ok((Some(transaction), ..)) => {
            delivery.first(1);
            let settling = Settling { delivery, settled: false };
            let (commit, rollback) = (L::commit, L::rollback);
            Entry::Run(Open(Box::new(Parts { transaction, commit, rollback, settling })))
        }
        Ok((None, MarkOutcome::InProgress { retry_after }, event)) => {
            delivery.in_progress(retry_after);
            Entry::Failed(Error::InProgress { event_id: event.id().to_owned(), retry_after })
        }
        Ok((None, ..)) => {
            delivery.duplicate();
            Entry::Duplicate
        }
        Err(error) => {
            delivery.failed(&error);
            Entry::Failed(error)
        }
    }
}

impl<T: DerefMut + Send + 'static> Open<T> {
    /// What the body works on (not the transaction, so that it can neither commit nor roll back),
    /// and what runs it.
    pub fn parts(&mut self) -> (&mut T::Target, &Delivery) {
        (&mut self.0.transaction, &self.0.settling.delivery)
    }

    /// Commits, or rolls back.
    ///
    /// Both are seen through when they are dropped.
    pub async fn settle(self, processed: bool) -> Result<(), Error> {
        let Parts { transaction, commit, rollback, mut settling } = *self.0;
        settling.settled = true;
        if processed {
            let committed = DetachOnDrop::new(commit(transaction)).await;
            match &committed {
                Ok(()) => settling.delivery.completed(),
                Err(error) => settling.delivery.failed(error),
            }
            committed
        } else {
            settling.delivery.released("the handler's reply was not a success");
            // The reply is a failure as it is, and what cannot be rolled back is never committed.
            drop(DetachOnDrop::new(rollback(transaction)).await);
            Ok(())
        }
    }
}
