//! A transaction on a connection of the pool that gives its place back when its server is gone.

use std::ops::{Deref, DerefMut};

use sqlx_core::sql_str::SqlStr;
use sqlx_core::transaction::TransactionManager;

use super::connection::PooledConnection;
use super::dialect::Dialect;
use super::write_turns::{WriteTurn, WriteTurns};

/// A transaction on a pooled connection. Dropping it rolls back, and returns the connection if no answer is on its way.
///
/// Not sqlx's own: that one returns its connection without a time limit, so that a server that is gone would keep
/// the connection's place in the pool for as long as the operating system waits.
pub(super) struct PooledTransaction<D: Dialect> {
    connection: PooledConnection<D>,
    /// Whether a transaction may be open.
    is_open: bool,
    /// Dropped after the connection.
    _turn: WriteTurn,
}

impl<D: Dialect> PooledTransaction<D> {
    /// Cancel safe: a connection whose transaction may have begun is not returned to the pool.
    pub(super) async fn begin(
        connection: PooledConnection<D>,
        turns: WriteTurns,
    ) -> Result<Self, sqlx::Error> {
        let turn = turns.next().await;
        let mut begun = Self { connection, is_open: true, _turn: turn };
        D::forget_ended_transaction(&mut begun.connection).await?;
        let statement = (D::BEGIN != "BEGIN").then(|| SqlStr::from_static(D::BEGIN));
        let answer = D::TransactionManager::begin(&mut begun.connection, statement).await;
        begun.connection.answered_with(&answer);
        answer.map(|()| begun)
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        let committed = D::TransactionManager::commit(&mut self.connection).await;
        self.end(committed)
    }

    pub(super) async fn roll_back(mut self) -> Result<(), sqlx::Error> {
        let rolled_back = D::TransactionManager::rollback(&mut self.connection).await;
        self.end(rolled_back)
    }

    fn end(&mut self, ended: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
        self.connection.answered_with(&ended);
        self.is_open = ended.is_err();
        ended
    }

    /// Closes the connection instead of returning it.
    pub(super) fn close(mut self) {
        self.is_open = false;
        self.connection.take().close();
    }
}

impl<D: Dialect> Deref for PooledTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.connection
    }
}

impl<D: Dialect> DerefMut for PooledTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.connection
    }
}

impl<D: Dialect> Drop for PooledTransaction<D> {
    fn drop(&mut self) {
        if self.is_open && !self.connection.is_out_of_step() {
            D::TransactionManager::start_rollback(&mut self.connection);
            // It goes out when the connection is returned, and the driver waits for its answer then.
            self.connection.answered_with(&Ok(()));
        }
    }
}
