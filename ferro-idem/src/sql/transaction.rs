//! Mark and effects in one transaction.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;
use tokio::runtime::Handle;

use super::SqlLog;
use super::columns::SchemaLevel;
use super::core::{CompiledSql, Core};
use super::dialect::{Dialect, SqlDatabase};
use super::event_state::Mark;
use super::fault::Fault;
use super::group::take_back::take_back;
use super::pooled_transaction::PooledTransaction;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::event_table::in_transaction::BEGIN;
use crate::event_table::in_transaction::kept_reply::KeptReply;
use crate::event_table::in_transaction::open::{EventTransaction, Failed, TransactionTable};
use crate::nesting::StoreId;
use crate::retry::{Attempts, answer_within};
use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

/// An open transaction of a [`SqlLog`]. It derefs to the connection. Dropping it rolls back.
///
/// Mark first: if [`try_mark_in`](TransactionalLog::try_mark_in) meets a deadlock, a serialization failure or
/// a stale snapshot, it begins the transaction again, and earlier writes are gone.
pub struct SqlTransaction<D: SqlDatabase>(pub(super) EventTransaction<PooledTransaction<D>, Core<D>>);

impl<D: Dialect> TransactionTable<PooledTransaction<D>> for Core<D> {
    type Steps = D::Statements;

    const LIMIT: Option<Duration> = D::ANSWERS_WITHIN;

    fn begin(&self) -> &'static str {
        D::BEGIN
    }

    fn for_mark(&self) -> Result<Option<&CompiledSql<D>>, Error> {
        self.known_mark_sql()
    }

    /// The table was looked at before the transaction began.
    async fn look_for_mark<'t>(
        &'t self,
        _: &mut PooledTransaction<D>,
    ) -> Result<(&'t CompiledSql<D>, bool), Failed<sqlx::Error>> {
        Ok((self.mark_sql().await.map_err(Failed::Final)?, false))
    }

    async fn seen_by<'t>(
        &'t self,
        session: &mut PooledTransaction<D>,
    ) -> Result<Option<&'t CompiledSql<D>>, Failed<sqlx::Error>> {
        Ok(self.sql_seen_by(session).await?)
    }

    fn compiled(&self, level: SchemaLevel) -> Option<&CompiledSql<D>> {
        self.compiled(level)
    }

    fn fault_of(&self, error: &sqlx::Error) -> Fault {
        self.fault_of(error)
    }

    async fn drop_reply(
        &self,
        session: &mut PooledTransaction<D>,
        statements: &D::Statements,
        mark: &Mark,
        kept: KeptReply,
    ) -> Result<(), sqlx::Error> {
        if kept == KeptReply::Unknown && !self.has_replies() {
            return Ok(());
        }
        D::drop_reply(session, D::reply_statements(statements), mark).await
    }

    fn take_back_later(self: &Arc<Self>, mark: &Mark) -> Option<&'static str> {
        take_back(self, mark.clone(), false);
        Some(
            "A part of its effects is kept. The mark is being taken back, so that a later delivery runs all of it",
        )
    }
}

/// A transaction that nobody ended: the handler panicked, or its client hung up.
impl<D: SqlDatabase> Drop for SqlTransaction<D> {
    fn drop(&mut self) {
        if self.0.needs_end()
            && let Ok(runtime) = Handle::try_current()
        {
            let open = self.0.take();
            runtime.spawn(async move { drop(open.roll_back().await) });
        }
    }
}

impl<D: SqlDatabase> Deref for SqlTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        let Some(session) = self.0.session() else { unreachable!("only its end takes it") };
        session
    }
}

impl<D: SqlDatabase> DerefMut for SqlTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        // Whatever is sent now may end the transaction.
        if self.0.kept == KeptReply::WithMark {
            self.0.kept = KeptReply::Unknown;
        }
        let Some(session) = self.0.session_mut() else { unreachable!("only its end takes it") };
        session
    }
}

impl<D: SqlDatabase> fmt::Debug for SqlTransaction<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlTransaction")
            .field("database", &D::NAME)
            .field("table", self.0.table.table())
            .finish_non_exhaustive()
    }
}

impl<D: SqlDatabase> TransactionalLog for SqlLog<D> {
    type Transaction = SqlTransaction<D>;

    fn begin(&self) -> Detached<SqlTransaction<D>> {
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            // Before the transaction, because a pool of one connection has no other one to look with.
            core.recent_sql().await?;
            let mut attempts = Attempts::new();
            loop {
                let (fault, source) = match core.connect(&attempts, false).await {
                    Err(failed) => failed,
                    Ok(connection) => {
                        // Finished when it is dropped, because its connection is closed otherwise.
                        let limit = attempts.within(D::ANSWERS_WITHIN);
                        let begin = answer_within(
                            limit,
                            PooledTransaction::begin(connection, core.write_turns.clone()),
                        );
                        match DetachOnDrop::new(begin).await {
                            Ok(Ok(session)) => {
                                return Ok(SqlTransaction(EventTransaction::new(session, core)));
                            }
                            Ok(Err(error)) => core.failed(error),
                            Err(late) => (Fault::no_connection(), BoxDynError::from(late)),
                        }
                    }
                };
                if !attempts.again_after(fault.kind).await {
                    return Err(fault.of(BEGIN, source));
                }
            }
        })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut SqlTransaction<D>,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        transaction.0.try_mark(event).await
    }

    fn commit(mut transaction: SqlTransaction<D>) -> Detached<()> {
        Box::pin(transaction.0.take().commit())
    }

    fn rollback(mut transaction: SqlTransaction<D>) -> Detached<()> {
        Box::pin(transaction.0.take().roll_back())
    }

    fn store_id(&self) -> StoreId {
        self.core.store_id
    }
}
