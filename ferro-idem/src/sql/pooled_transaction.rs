//! A transaction that does not keep its place in the pool when its server is gone.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::{Pool, Transaction};
use tokio::runtime::{Builder, Handle};

use super::dialect::Dialect;
use crate::retry::{Unanswered, answer};

/// A transaction that was begun. Dropped, it is rolled back, and where the server does not answer to that
/// either, its connection is given up.
pub(super) struct PooledTransaction<D: Dialect> {
    /// Taken by what ends it.
    transaction: Option<Transaction<'static, D>>,
}

impl<D: Dialect> PooledTransaction<D> {
    pub(super) async fn begin(pool: Pool<D>) -> Result<Self, sqlx::Error> {
        Ok(Self { transaction: Some(pool.begin().await?) })
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        match self.transaction.take() {
            Some(transaction) => transaction.commit().await,
            None => Ok(()),
        }
    }

    pub(super) async fn roll_back(mut self) -> Result<(), sqlx::Error> {
        match self.transaction.take() {
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }
}

impl<D: Dialect> Deref for PooledTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        let Some(transaction) = &self.transaction else { unreachable!("nobody has it behind its end") };
        transaction
    }
}

impl<D: Dialect> DerefMut for PooledTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        let Some(transaction) = &mut self.transaction else { unreachable!("nobody has it behind its end") };
        transaction
    }
}

impl<D: Dialect> Drop for PooledTransaction<D> {
    fn drop(&mut self) {
        if D::ANSWERS_WITHIN.is_some()
            && let Some(transaction) = self.transaction.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let rolled_back = answered(D::ANSWERS_WITHIN, transaction.rollback());
            runtime.spawn(async move { drop(rolled_back.await) });
        }
    }
}

/// Waits for an answer. What does not come in time is given up, and with it the connection that it holds.
pub(super) async fn answered<F: Future>(within: Option<Duration>, asked: F) -> Result<F::Output, Unanswered> {
    let mut asked = Box::pin(asked);
    let answered = answer(within, &mut asked).await;
    if answered.is_err() {
        give_up(asked);
    }
    answered
}

/// Drops a transaction, or what holds one, without the pool.
///
/// sqlx would hand its connection back by a task that first waits for the server, as long as the operating
/// system does, and would count it as in use until then. Only a pooled connection can be closed instead, not
/// a transaction on one; so the task is begun in a runtime that ends before it runs.
fn give_up<T>(holding: T) {
    if let Ok(ending) = Builder::new_current_thread().build() {
        let handle = ending.handle().clone();
        let _inside = handle.enter();
        drop(holding);
        ending.shutdown_background();
    }
}
