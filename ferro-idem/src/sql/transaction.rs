//! Mark and effects in one transaction.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::error::BoxDynError;
use tokio::runtime::Handle;

use super::SqlLog;
use super::columns::SchemaLevel;
use super::core::{CompiledSql, Core};
use super::dialect::SqlDatabase;
use super::event_state::{EventState, Mark, MarkedIn, OwnMark};
use super::fault::Fault;
use super::group::take_back::take_back;
use super::kept_reply::KeptReply;
use super::pooled_transaction::PooledTransaction;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::event_table::in_transaction::{
    BEGIN, COMMIT, MARK, MadeMark, RETRY_AFTER, ROLL_BACK, STAYS, TAKEN_BACK, answered_once, committed_early,
    mark_is_gone,
};
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::{Attempts, DEADLINE, FaultKind, answer_within};
use crate::transaction::{CommittedEarly, Detached, MarkOutcome, TransactionalLog};

/// An open transaction of a [`SqlLog`]. It derefs to the connection. Dropping it rolls back.
///
/// Mark first: if [`try_mark_in`](TransactionalLog::try_mark_in) meets a deadlock, a serialization failure or
/// a stale snapshot, it begins the transaction again, and earlier writes are gone.
pub struct SqlTransaction<D: SqlDatabase> {
    pub(super) transaction: PooledTransaction<D>,
    pub(super) core: Arc<Core<D>>,
    /// The event that this transaction marked. `None` after its end.
    pub(super) made: Option<MadeMark>,
    pub(super) kept: KeptReply,
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
                Some(EventState::Processed) => {
                    D::outlast_failover(&mut self.transaction, statements).await?;
                    return Ok(MarkOutcome::Processed);
                }
                Some(&EventState::Claimed { left }) => {
                    return Ok(MarkOutcome::InProgress { retry_after: left });
                }
                Some(EventState::Free) | None => {
                    // Another transaction has the event.
                    if self.lock.is_none() {
                        return Ok(MarkOutcome::InProgress { retry_after: RETRY_AFTER });
                    }
                    if !D::take_over(&mut self.transaction, statements, mark).await? {
                        // Another delivery claimed it a moment ago, or something keeps the row as it is.
                        let states = D::look(&mut self.transaction, statements, &[&mark.id]).await?;
                        if sql.verifies && matches!(states.first(), Some(EventState::Free)) {
                            return Err(sqlx::Error::RowNotFound);
                        }
                        return Ok(MarkOutcome::InProgress { retry_after: RETRY_AFTER });
                    }
                }
            }
        }
        self.made = Some(MadeMark { mark: mark.clone(), level: sql.level, is_taken_over: has_row });
        Ok(MarkOutcome::First)
    }

    /// Begins a new transaction on the same connection. Both statements are one message, so that dropping the
    /// future leaves no half of it.
    async fn restart(&mut self) -> Result<(), sqlx::Error> {
        self.lock = None;
        D::run(&mut self.transaction, format!("ROLLBACK; {}", D::BEGIN)).await
    }

    /// Moves everything but the mark out, so that dropping what is left does nothing.
    fn take(&mut self) -> Self {
        Self {
            transaction: self.transaction.take(),
            core: Arc::clone(&self.core),
            made: None,
            kept: self.kept,
            lock: self.lock.take(),
        }
    }

    /// Where the mark is. A database may have rolled back by itself: after a deadlock, on a full disk, in PostgreSQL
    /// after any statement that failed. If the body ignored that error, a commit would report an event as processed
    /// that left no trace. And a body may have committed, so that a rollback would leave its mark behind.
    async fn own_mark(&mut self, made: Option<&MadeMark>) -> Result<OwnMark, sqlx::Error> {
        let Some(MadeMark { mark, level, .. }) = made else { return Ok(OwnMark::Held) };
        let Some(sql) = self.core.compiled(*level) else { return Ok(OwnMark::Gone) };
        D::own_mark(&mut self.transaction, &sql.statements, &mark.id, mark.owner).await
    }

    /// A lost answer leaves open whether the transaction was committed. The next delivery finds the mark, or
    /// runs again.
    async fn commit(mut self) -> Result<(), Error> {
        let limit = D::ANSWERS_WITHIN.map(|_| DEADLINE);
        let committing = async move {
            let made = self.made.take();
            let own_mark = match self.kept {
                KeptReply::WithMark => Ok(OwnMark::Held),
                KeptReply::Unknown => self.own_mark(made.as_ref()).await,
                KeptReply::Failed => {
                    drop(self.roll_back(made).await);
                    return Err(Fault::rolled_back().of(COMMIT, "the reply is not in the transaction"));
                }
            };
            match own_mark.map_err(|error| self.core.explained(COMMIT, error))? {
                OwnMark::Held => {
                    let committed = self.transaction.take().commit().await;
                    drop(self.lock.take());
                    committed.map_err(|error| self.core.fault_of(&error).of_commit(COMMIT, error))
                }
                OwnMark::Gone => Err(mark_is_gone()),
                OwnMark::Committed => {
                    // The rest belongs to what is committed already.
                    self.end_by("COMMIT").await;
                    Err(committed_early())
                }
            }
        };
        answered_once(COMMIT, limit, committing).await
    }

    /// `made` is apart, so that no rollback begins another one when it is dropped.
    async fn roll_back(mut self, made: Option<MadeMark>) -> Result<(), Error> {
        let rolling_back = async move {
            // In a transaction that failed nothing can be read, and it is still the same.
            let own_mark = self.own_mark(made.as_ref()).await.unwrap_or(OwnMark::Held);
            let Some(made) = made.filter(|_| own_mark == OwnMark::Committed) else {
                let rolled_back = self.transaction.take().roll_back().await;
                drop(self.lock.take());
                return match rolled_back {
                    // The driver finds no transaction to roll back.
                    Err(_) if own_mark == OwnMark::Gone => Ok(()),
                    rolled_back => rolled_back.map_err(|error| self.core.explained(ROLL_BACK, error)),
                };
            };
            drop(D::run(&mut self.transaction, "ROLLBACK".to_owned()).await);
            let of_mark = self.take_mark_back(&made).await;
            self.end_by("ROLLBACK").await;
            Err(Fault::committed_early(of_mark).of(ROLL_BACK, CommittedEarly))
        };
        answered_once(ROLL_BACK, D::ANSWERS_WITHIN, rolling_back).await
    }

    /// Says what became of the mark.
    async fn take_mark_back(&mut self, MadeMark { mark, level, is_taken_over }: &MadeMark) -> &'static str {
        let Some(sql) = self.core.compiled(*level).filter(|_| *level == SchemaLevel::Full) else {
            return STAYS;
        };
        let taken_back = if *is_taken_over {
            // Before the next delivery may complete the event without one.
            let dropped = match self.kept {
                KeptReply::Unknown if !self.core.has_replies() => Ok(()),
                _ => D::drop_reply(&mut self.transaction, D::reply_statements(&sql.statements), mark).await,
            };
            match dropped {
                Ok(()) => D::give_back(&mut self.transaction, &sql.statements, mark).await,
                failed => failed,
            }
        } else {
            D::unmark(&mut self.transaction, &sql.statements, &[mark]).await
        };
        match taken_back {
            Ok(()) => TAKEN_BACK,
            // The next delivery may be looking at the row.
            Err(_) if !is_taken_over => {
                take_back(&self.core, mark.clone(), false);
                "A part of its effects is kept. The mark is being taken back, so that a later delivery runs all of it"
            }
            Err(_) => STAYS,
        }
    }

    /// Ends what the body left open. The driver believes that its transaction is still open, so that it gets one to
    /// roll back.
    async fn end_by(&mut self, statement: &str) {
        drop(D::run(&mut self.transaction, statement.to_owned()).await);
        drop(D::run(&mut self.transaction, "BEGIN".to_owned()).await);
        drop(self.transaction.take().roll_back().await);
        drop(self.lock.take());
    }
}

/// A transaction that nobody ended: the handler panicked, or its client hung up.
impl<D: SqlDatabase> Drop for SqlTransaction<D> {
    fn drop(&mut self) {
        if let Some(made) = self.made.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let ended = self.take();
            runtime.spawn(async move { drop(ended.roll_back(Some(made)).await) });
        }
    }
}

impl<D: SqlDatabase> Deref for SqlTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.transaction
    }
}

impl<D: SqlDatabase> DerefMut for SqlTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        // Whatever is sent now may end the transaction.
        if self.kept == KeptReply::WithMark {
            self.kept = KeptReply::Unknown;
        }
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
                                return Ok(SqlTransaction {
                                    transaction,
                                    core,
                                    made: None,
                                    kept: KeptReply::Unknown,
                                    lock: None,
                                });
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

    fn rollback(mut transaction: SqlTransaction<D>) -> Detached<()> {
        let made = transaction.made.take();
        Box::pin(transaction.roll_back(made))
    }

    fn store_id(&self) -> StoreId {
        self.core.store_id
    }
}
