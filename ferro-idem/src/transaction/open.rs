//! From the begin to the commit, whatever happens in between.

use std::ops::Deref;

use super::{MarkOutcome, TransactionalLog};
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::see_through::SeeThrough;
use crate::trace::Delivery;

/// What beginning came to, for the expansion.
pub enum Beginning<L: TransactionalLog> {
    /// Run the body in this transaction.
    First(Open<L>),
    /// Answer as a duplicate.
    Duplicate,
    /// There is no transaction, or not for this event now.
    Failed(Error),
}

/// A transaction that holds the mark. Dropped before it is settled (a panic, a hang-up), it rolls
/// back.
///
/// On the heap, because it stays in the handler's own future while the body runs.
pub struct Open<L: TransactionalLog>(Box<Parts<L>>);

struct Parts<L: TransactionalLog> {
    transaction: L::Transaction,
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
pub async fn begin<L: TransactionalLog>(log: &L, key: Result<EventRef<'_>, InvalidEventId>) -> Beginning<L> {
    let delivery = Delivery::new("transaction", key.ok());
    let marked = async {
        let event = key?;
        let mut transaction = SeeThrough::new(log.begin()).await?;
        let outcome = log.try_mark_in(&mut transaction, event).await?;
        if outcome != MarkOutcome::First {
            SeeThrough::new(L::rollback(transaction)).await?;
            return Ok((None, outcome, event));
        }
        Ok((Some(transaction), outcome, event))
    };
    match marked.await {
        Ok((Some(transaction), ..)) => {
            delivery.first(1);
            let settling = Settling { delivery, settled: false };
            Beginning::First(Open(Box::new(Parts { transaction, settling })))
        }
        Ok((None, MarkOutcome::InProgress { retry_after }, event)) => {
            delivery.in_progress(retry_after);
            Beginning::Failed(Error::InProgress { event_id: event.id().to_owned(), retry_after })
        }
        Ok((None, ..)) => {
            delivery.duplicate();
            Beginning::Duplicate
        }
        Err(error) => {
            delivery.failed(&error);
            Beginning::Failed(error)
        }
    }
}

impl<L: TransactionalLog> Open<L> {
    /// What the body works on (not the transaction, so that it can neither commit nor roll back),
    /// and what runs it.
    pub fn parts(&mut self) -> (&mut <L::Transaction as Deref>::Target, &Delivery) {
        (&mut self.0.transaction, &self.0.settling.delivery)
    }

    /// Commits, or rolls back.
    ///
    /// Both are seen through when they are dropped.
    pub async fn settle(self, processed: bool) -> Result<(), Error> {
        let Parts { transaction, mut settling } = *self.0;
        settling.settled = true;
        if processed {
            let committed = SeeThrough::new(L::commit(transaction)).await;
            match &committed {
                Ok(()) => settling.delivery.completed(),
                Err(error) => settling.delivery.failed(error),
            }
            committed
        } else {
            settling.delivery.released("the handler's reply was not a success");
            // The reply is a failure as it is, and what cannot be rolled back is never committed.
            drop(SeeThrough::new(L::rollback(transaction)).await);
            Ok(())
        }
    }
}
