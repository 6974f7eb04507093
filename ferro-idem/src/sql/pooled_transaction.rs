//! A transaction that gives its pool slot back when its server is gone.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::{Pool, Transaction};
use tokio::runtime::{Builder, Handle};

use super::dialect::Dialect;
use crate::retry::{NoAnswerInTime, answer_within};

/// A transaction on a pooled connection. Dropping it rolls back. If the server does not answer to that
/// either, the connection is abandoned.
pub(super) struct PooledTransaction<D: Dialect> {
    /// Taken by commit and rollback.
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
        let Some(transaction) = &self.transaction else { unreachable!("only its end takes it") };
        transaction
    }
}

impl<D: Dialect> DerefMut for PooledTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        let Some(transaction) = &mut self.transaction else { unreachable!("only its end takes it") };
        transaction
    }
}

impl<D: Dialect> Drop for PooledTransaction<D> {
    fn drop(&mut self) {
        if D::ANSWERS_WITHIN.is_some()
            && let Some(transaction) = self.transaction.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let rolled_back = answer_or_abandon(D::ANSWERS_WITHIN, transaction.rollback());
            runtime.spawn(async move { drop(rolled_back.await) });
        }
    }
}

/// Waits for an answer. A future that is late is abandoned, together with the connection that it holds.
pub(super) async fn answer_or_abandon<F: Future>(
    limit: Option<Duration>,
    request: F,
) -> Result<F::Output, NoAnswerInTime> {
    let mut request = Box::pin(request);
    let answered = answer_within(limit, &mut request).await;
    if answered.is_err() {
        abandon(request);
    }
    answered
}

/// Drops a transaction, or a future that holds one, and frees its pool slot at once.
///
/// sqlx returns the connection in a task that first waits for the server, as long as the operating system
/// does, and counts the connection as in use until then. Only a pooled connection can be closed instead, not
/// a transaction on one. So that task is spawned into a runtime that ends before it runs.
fn abandon<T>(holding: T) {
    if let Ok(ending) = Builder::new_current_thread().build() {
        let handle = ending.handle().clone();
        let _inside = handle.enter();
        drop(holding);
        ending.shutdown_background();
    }
}
