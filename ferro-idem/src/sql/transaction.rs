//! Mark and effects in one transaction.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;

use super::SqlLog;
use super::columns::SchemaLevel;
use super::core::{CompiledSql, Core};
use super::dialect::SqlDatabase;
use super::event_state::{EventState, Mark, MarkedIn};
use super::fault::Fault;
use super::pooled_transaction::PooledTransaction;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::{Attempts, DEADLINE, FaultKind, answer_within};
use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

/// When a delivery should come again if another transaction has its event. How long that transaction takes
/// is not known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const BEGIN: &str = "begin a transaction";
const MARK: &str = "mark the event as processed";
const COMMIT: &str = "commit the event and its effects";
const ROLL_BACK: &str = "roll the event back";

/// An open transaction of a [`SqlLog`]. It derefs to the connection. Dropping it rolls back.
///
/// Mark first: if [`try_mark_in`](TransactionalLog::try_mark_in) meets a deadlock, a serialization failure or
/// a stale snapshot, it begins the transaction again, and earlier writes are gone.
pub struct SqlTransaction<D: SqlDatabase> {
    transaction: PooledTransaction<D>,
    core: Arc<Core<D>>,
    /// The event that this transaction marked.
    mark: Option<(Arc<str>, Owner, SchemaLevel)>,
    /// Declared after the transaction, so that it is dropped when the rollback is on its way. Only then may
    /// the next delivery try.
    lock: Option<D::EventLock>,
}

impl<D: SqlDatabase> SqlTransaction<D> {
    async fn try_mark(&mut self, mut sql: &CompiledSql<D>, mark: &Mark) -> Result<MarkOutcome, sqlx::Error> {
        let core = Arc::clone(&self.core);
        let marked = match D::mark_in(&mut self.transaction, &sql.statements, mark).await {
            // The row that kept the insert out may have been deleted since.
            Err(sqlx::Error::RowNotFound) => D::mark_in(&mut self.transaction, &sql.statements, mark).await?,
            marked => marked?,
        };
        let (lock, has_row) = match marked {
            MarkedIn::Marked(lock) => (Some(lock), false),
            MarkedIn::RowExists(lock) => (Some(lock), true),
            MarkedIn::Locked => (None, true),
        };
        self.lock = lock;
        if has_row {
            if sql.level == SchemaLevel::Plain {
                // The table may have been upgraded since it was looked at, and the row may be a claim.
                sql = core.sql_seen_by(&mut self.transaction).await?.unwrap_or(sql);
            }
            let statements = &sql.statements;
            let states = D::look(&mut self.transaction, statements, &[&mark.id]).await?;
            match states.first() {
                Some(EventState::Processed) => return Ok(MarkOutcome::Processed),
                Some(&EventState::Claimed { left }) => {
                    return Ok(MarkOutcome::InProgress { retry_after: left });
                }
                Some(EventState::Free) | None => {
                    // Another transaction has the event, or another delivery claimed it a moment ago.
                    if self.lock.is_none() || !D::take_over(&mut self.transaction, statements, mark).await? {
                        return Ok(MarkOutcome::InProgress { retry_after: RETRY_AFTER });
                    }
                }
            }
        }
        self.mark = Some((Arc::clone(&mark.id), mark.owner, sql.level));
        Ok(MarkOutcome::First)
    }

    /// Begins a new transaction on the same connection. Both statements are one message, so that dropping the
    /// future leaves no half of it.
    async fn restart(&mut self) -> Result<(), sqlx::Error> {
        self.lock = None;
        D::run(&mut self.transaction, "ROLLBACK; BEGIN".to_owned()).await
    }

    /// Whether the mark still exists. A database may have rolled back by itself: after a deadlock, on a full
    /// disk, in PostgreSQL after any statement that failed. If the body ignored that error, a commit would
    /// report an event as processed that left no trace.
    async fn holds_its_mark(&mut self) -> Result<bool, Error> {
        let Some((event_id, owner, level)) = &self.mark else { return Ok(true) };
        // The level that the mark was made at: one from before an upgrade has no owner.
        let Some(sql) = self.core.compiled(*level) else { return Ok(false) };
        D::is_marked(&mut self.transaction, &sql.statements, event_id, *owner)
            .await
            .map_err(|error| self.core.explained(COMMIT, error))
    }

    /// A lost answer leaves open whether the transaction was committed. The next delivery finds the mark, or
    /// runs again.
    async fn commit(mut self) -> Result<(), Error> {
        let limit = D::ANSWERS_WITHIN.map(|_| DEADLINE);
        let committing = async move {
            if !self.holds_its_mark().await? {
                return Err(Fault::rolled_back().of(COMMIT, "the mark is gone from the transaction"));
            }
            let Self { transaction, core, lock, .. } = self;
            let committed = transaction.commit().await;
            drop(lock);
            committed.map_err(|error| core.fault_of(&error).of_commit(COMMIT, error))
        };
        answered_once(COMMIT, limit, committing).await
    }

    async fn roll_back(self) -> Result<(), Error> {
        let Self { transaction, core, lock, .. } = self;
        let rolling_back = async {
            let rolled_back = transaction.roll_back().await;
            drop(lock);
            rolled_back.map_err(|error| core.explained(ROLL_BACK, error))
        };
        answered_once(ROLL_BACK, D::ANSWERS_WITHIN, rolling_back).await
    }
}

/// Waits for the answer of a request that cannot be repeated, because its transaction is gone with its
/// connection.
async fn answered_once(
    operation: &'static str,
    limit: Option<Duration>,
    request: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    answer_within(limit, request).await.unwrap_or_else(|late| Err(Fault::late().of(operation, late)))
}

impl<D: SqlDatabase> Deref for SqlTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.transaction
    }
}

impl<D: SqlDatabase> DerefMut for SqlTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.transaction
    }
}

impl<D: SqlDatabase> fmt::Debug for SqlTransaction<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlTransaction")
            .field("database", &D::NAME)
            .field("table", self.core.table())
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
                        let begin = answer_within(limit, PooledTransaction::begin(connection));
                        match DetachOnDrop::new(begin).await {
                            Ok(Ok(transaction)) => {
                                return Ok(SqlTransaction { transaction, core, mark: None, lock: None });
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

    /// After a deadlock or a serialization failure, the transaction begins again: the mark comes first, so
    /// nothing else is lost. A lost connection is an error, because it took the transaction along.
    async fn try_mark_in(
        &self,
        transaction: &mut SqlTransaction<D>,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let sql = self.core.mark_sql().await?;
        let mark = Mark::new(event, Owner::random()?);
        let mut attempts = Attempts::new();
        loop {
            let marking = transaction.try_mark(sql, &mark);
            let (fault, source) = match attempts.attempt(D::ANSWERS_WITHIN, marking).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(error)) => self.core.failed(error),
                Err(late) => (Fault::late(), BoxDynError::from(late)),
            };
            if fault.kind != FaultKind::Passing || !attempts.again_after(fault.kind).await {
                return Err(fault.of(MARK, source));
            }
            let restarting =
                async { transaction.restart().await.map_err(|error| self.core.explained(MARK, error)) };
            answered_once(MARK, D::ANSWERS_WITHIN, restarting).await?;
        }
    }

    fn commit(transaction: SqlTransaction<D>) -> Detached<()> {
        Box::pin(transaction.commit())
    }

    fn rollback(transaction: SqlTransaction<D>) -> Detached<()> {
        Box::pin(transaction.roll_back())
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.core)
    }
}
