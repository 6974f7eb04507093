//! Mark and effects in one transaction.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;

use super::dialect::{Dialect, EventState, Mark, Met, SchemaLevel};
use super::fault::Fault;
use super::pooled_transaction::{PooledTransaction, answered};
use super::{SqlLog, Statements};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::retry::{Attempts, DEADLINE, FaultKind};
use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

/// How soon a delivery that met an open transaction is to come again: how long that one takes is
/// not known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const BEGIN: &str = "begin a transaction";
const MARK: &str = "mark the event as processed";
const COMMIT: &str = "commit the event and its effects";
const ROLL_BACK: &str = "roll the event back";

/// An open transaction of a [`SqlLog`]; derefs to the connection. Dropping it rolls back.
///
/// Mark first: where [`try_mark_in`](TransactionalLog::try_mark_in) meets a deadlock, a serialization failure or
/// a stale snapshot, it begins the transaction again, and what was written before it is gone.
pub struct SqlTransaction<D: Dialect> {
    transaction: PooledTransaction<D>,
    log: SqlLog<D>,
    /// What this transaction marked.
    mark: Option<(Arc<str>, Owner, SchemaLevel)>,
    /// Behind the transaction, so that the next delivery is let in when the rollback is on the way.
    entered: Option<D::Entered>,
}

impl<D: Dialect> SqlTransaction<D> {
    async fn try_mark(
        &mut self,
        statements: &Statements<D>,
        mark: &Mark,
    ) -> Result<MarkOutcome, sqlx::Error> {
        let texts = &statements.texts;
        let (entered, is_row) = match D::mark_in(&mut self.transaction, texts, mark).await? {
            Met::Nothing(entered) => (Some(entered), false),
            Met::Row(entered) => (Some(entered), true),
            Met::Transaction => (None, true),
        };
        self.entered = entered;
        if is_row {
            let standings = D::look(&mut self.transaction, texts, &[&mark.id]).await?;
            match standings.first() {
                Some(EventState::Processed) => return Ok(MarkOutcome::Processed),
                Some(&EventState::Claimed { left }) => {
                    return Ok(MarkOutcome::InProgress { retry_after: left });
                }
                Some(EventState::Free) | None => {
                    // Another transaction has it, or another delivery claimed it a moment ago.
                    if self.entered.is_none() || !D::take_over(&mut self.transaction, texts, mark).await? {
                        return Ok(MarkOutcome::InProgress { retry_after: RETRY_AFTER });
                    }
                }
            }
        }
        self.mark = Some((Arc::clone(&mark.id), mark.owner, statements.columns));
        Ok(MarkOutcome::First)
    }

    /// A new transaction on the same connection. One message, so that dropping it in between leaves
    /// nothing half-done.
    async fn restart(&mut self) -> Result<(), sqlx::Error> {
        self.entered = None;
        D::run(&mut self.transaction, "ROLLBACK; BEGIN".to_owned()).await
    }

    /// Whether the mark is still there. A database that rolled back by itself (a deadlock, a full disk,
    /// in PostgreSQL any statement that failed) took it along; if the body passed over that error, a commit
    /// would report an event as processed that left no trace.
    async fn holds_its_mark(&mut self) -> Result<bool, Error> {
        let Some((event_id, owner, columns)) = &self.mark else { return Ok(true) };
        // By the statements that it was made with: a mark from before an upgrade has no owner.
        let Some(statements) = self.log.table.written(*columns).get() else { return Ok(false) };
        D::is_marked(&mut self.transaction, &statements.texts, event_id, *owner)
            .await
            .map_err(|error| self.log.explained(COMMIT, error))
    }

    /// An answer that is lost leaves open whether it was committed: the next delivery finds the mark, or
    /// runs again.
    async fn commit(mut self) -> Result<(), Error> {
        let within = D::ANSWERS_WITHIN.map(|_| DEADLINE);
        let log = self.log.clone();
        let committing = async move {
            if !self.holds_its_mark().await? {
                return Err(Fault::rolled_back().of(COMMIT, "the mark is gone from the transaction"));
            }
            let Self { transaction, log, entered, .. } = self;
            let committed = transaction.commit().await;
            drop(entered);
            committed.map_err(|error| log.fault_of(&error).of_commit(COMMIT, error))
        };
        log.answered(COMMIT, within, committing).await
    }

    async fn roll_back(self) -> Result<(), Error> {
        let Self { transaction, log, entered, .. } = self;
        let rolling_back = async {
            let rolled_back = transaction.roll_back().await;
            drop(entered);
            rolled_back.map_err(|error| log.explained(ROLL_BACK, error))
        };
        log.answered(ROLL_BACK, D::ANSWERS_WITHIN, rolling_back).await
    }
}

impl<D: Dialect> SqlLog<D> {
    /// What cannot be asked again, because its transaction is gone with its connection.
    async fn answered(
        &self,
        operation: &'static str,
        within: Option<Duration>,
        asked: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        answered(within, asked).await.unwrap_or_else(|late| Err(Fault::late().of(operation, late)))
    }
}

impl<D: Dialect> Deref for SqlTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.transaction
    }
}

impl<D: Dialect> DerefMut for SqlTransaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.transaction
    }
}

impl<D: Dialect> fmt::Debug for SqlTransaction<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlTransaction")
            .field("database", &D::NAME)
            .field("table", &self.log.table.name)
            .finish_non_exhaustive()
    }
}

impl<D: Dialect> TransactionalLog for SqlLog<D> {
    type Transaction = SqlTransaction<D>;

    fn begin(&self) -> Detached<SqlTransaction<D>> {
        let log = self.clone();
        Box::pin(async move {
            // The table is looked at before, not in the transaction: a pool of one connection has no
            // other one to look with.
            log.current_statements().await?;
            let mut attempts = Attempts::new();
            loop {
                // A begin that is dropped half-way can leave the pool a connection with a transaction.
                let within = attempts.within(D::ANSWERS_WITHIN);
                let beginning =
                    DetachOnDrop::new(answered(within, PooledTransaction::begin(log.pool.clone())));
                let (fault, source) = match beginning.await {
                    Ok(Ok(transaction)) => {
                        return Ok(SqlTransaction { transaction, log, mark: None, entered: None });
                    }
                    Ok(Err(error)) => log.failed(error),
                    Err(late) => (Fault::no_connection(), BoxDynError::from(late)),
                };
                if !attempts.again_after(fault.kind).await {
                    return Err(fault.of(BEGIN, source));
                }
            }
        })
    }

    /// A deadlock or a serialization failure starts over: the mark comes first, so nothing was done in this
    /// transaction. A lost connection is an error, because it took the transaction along.
    async fn try_mark_in(
        &self,
        transaction: &mut SqlTransaction<D>,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let statements = self.statements().await?;
        let mark = Mark::new(event, Owner::random()?);
        let mut attempts = Attempts::new();
        loop {
            let marking = transaction.try_mark(statements, &mark);
            let (fault, source) = match attempts.attempt(D::ANSWERS_WITHIN, marking).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(error)) => self.failed(error),
                Err(late) => (Fault::late(), BoxDynError::from(late)),
            };
            if fault.kind != FaultKind::Passing || !attempts.again_after(fault.kind).await {
                return Err(fault.of(MARK, source));
            }
            let restarting =
                async { transaction.restart().await.map_err(|error| self.explained(MARK, error)) };
            self.answered(MARK, D::ANSWERS_WITHIN, restarting).await?;
        }
    }

    fn commit(transaction: SqlTransaction<D>) -> Detached<()> {
        Box::pin(transaction.commit())
    }

    fn rollback(transaction: SqlTransaction<D>) -> Detached<()> {
        Box::pin(transaction.roll_back())
    }
}
