//! Transactions that fail as told.

use std::future::ready;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::FailingLog;
use super::plan::Plan;
use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;
use crate::steps::Step;
use crate::steps::failing::{Fails, failing};
use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

/// An open transaction of a [`FailingLog`]. It derefs to what the wrapped log lends to the body. Dropping it rolls back.
#[derive(Debug)]
pub struct FailingTransaction<T> {
    pub(super) transaction: T,
    plan: Arc<Plan>,
}

impl<T: Deref> Deref for FailingTransaction<T> {
    type Target = T::Target;

    fn deref(&self) -> &T::Target {
        &self.transaction
    }
}

impl<T: DerefMut> DerefMut for FailingTransaction<T> {
    fn deref_mut(&mut self) -> &mut T::Target {
        &mut self.transaction
    }
}

impl<L: TransactionalLog> TransactionalLog for FailingLog<L> {
    type Transaction = FailingTransaction<L::Transaction>;

    fn begin(&self) -> Detached<Self::Transaction> {
        let (begin, plan) = (self.log.begin(), Arc::clone(&self.plan));
        Box::pin(async move {
            let transaction = failing(Step::Begin, plan.next(Step::Begin), begin).await??;
            Ok(FailingTransaction { transaction, plan })
        })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut Self::Transaction,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let marking = self.log.try_mark_in(&mut transaction.transaction, event);
        self.call(Step::MarkInTransaction, marking).await
    }

    fn commit(transaction: Self::Transaction) -> Detached<()> {
        end::<L>(transaction, Step::Commit, L::commit)
    }

    fn rollback(transaction: Self::Transaction) -> Detached<()> {
        end::<L>(transaction, Step::Rollback, L::rollback)
    }

    fn store_id(&self) -> StoreId {
        self.log.store_id()
    }
}

fn end<L: TransactionalLog>(
    FailingTransaction { transaction, plan }: FailingTransaction<L::Transaction>,
    step: Step,
    end: fn(L::Transaction) -> Detached<()>,
) -> Detached<()> {
    Box::pin(async move {
        let fails = plan.next(step);
        let ending = if fails == Some(Fails::BeforeEffect) {
            // A database does so if the connection is lost. Awaited, so that the test sees it.
            drop(L::rollback(transaction).await);
            Box::pin(ready(Ok(())))
        } else {
            end(transaction)
        };
        failing(step, fails, ending).await?
    })
}
