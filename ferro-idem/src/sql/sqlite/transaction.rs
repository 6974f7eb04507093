//! Mark and effects in one SQLite transaction.

use std::collections::HashSet;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Sqlite};

use super::claim::Standing;
use super::{Columns, SqliteLog, fault};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::sql::table::TableName;
use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

/// A claim that was released, or whose lease is over, becomes this transaction's.
const TAKE_OVER: &str = "UPDATE stripe_processed_events SET state = 1, owner = ?2, fence = fence + 1, \
     lease_until = NULL, updated_at = CURRENT_TIMESTAMP WHERE event_id = ?1";

/// How soon a delivery that met an open transaction is to come again: how long that one takes is
/// not known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The events that this process has open transactions for.
///
/// SQLite has one writer: a second delivery would wait for the lock as long as the first one's body
/// runs, and hold a connection meanwhile. Within the process it is told at once; another process
/// waits for the busy timeout, and then answers [`Error::Store`].
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashSet<String>>>);

impl InFlight {
    fn enter(&self, event_id: &str) -> Option<Entered> {
        let is_first = self.events().insert(event_id.to_owned());
        is_first.then(|| Entered { events: self.clone(), event_id: event_id.to_owned() })
    }

    /// A panic cannot leave the set half-changed.
    fn events(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entered {
    events: InFlight,
    event_id: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.events.events().remove(&self.event_id);
    }
}

/// An open transaction of [`SqliteLog`]; derefs to the connection. Dropping it rolls back.
pub struct SqliteTransaction {
    transaction: sqlx::Transaction<'static, Sqlite>,
    table: TableName,
    /// Behind the transaction, so that the next delivery is let in when the lock is free.
    entered: Option<Entered>,
}

impl Deref for SqliteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for SqliteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

impl std::fmt::Debug for SqliteTransaction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SqliteTransaction").field("table", &self.table).finish_non_exhaustive()
    }
}

impl SqliteLog {
    async fn standing_in(
        &self,
        transaction: &mut SqliteTransaction,
        event: EventRef<'_>,
    ) -> Result<Option<Standing>, Error> {
        let fault = |error| self.fault("look at the event", error);
        let row = sqlx::query(AssertSqlSafe(Arc::clone(&self.statements().await?.look)))
            .bind(event.id())
            .fetch_optional(&mut **transaction)
            .await
            .map_err(fault)?;
        row.as_ref().map(Standing::of).transpose().map_err(fault)
    }
}

impl TransactionalLog for SqliteLog {
    type Transaction = SqliteTransaction;

    /// Deferred: the mark is the first statement, and takes the write lock before anything is read, so
    /// that no later statement can fail for a stale snapshot.
    fn begin(&self) -> Detached<SqliteTransaction> {
        let log = self.clone();
        Box::pin(async move {
            // The table is looked at before, not in the transaction: a pool of one connection has no
            // other one to look with.
            if log.current_statements().await?.columns == Columns::Full {
                log.claim_statements().await?;
            }
            let table = log.table.name.clone();
            match log.pool.begin().await {
                Ok(transaction) => Ok(SqliteTransaction { transaction, table, entered: None }),
                Err(error) => Err(log.fault("begin a transaction", error)),
            }
        })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut SqliteTransaction,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let statements = self.statements().await?;
        let Some(entered) = self.table.in_flight.enter(event.id()) else {
            // Whether the event is processed can be read without waiting for the writer.
            let standing = self.standing_in(transaction, event).await?;
            return Ok(match standing {
                Some(Standing::Processed) => MarkOutcome::Processed,
                _ => MarkOutcome::InProgress { retry_after: RETRY_AFTER },
            });
        };
        transaction.entered = Some(entered);
        let fault = |error| self.fault("mark the event as processed", error);
        let owner = Owner::random()?.as_bytes().to_vec();
        let insert = sqlx::query(AssertSqlSafe(Arc::clone(&statements.insert)))
            .bind(event.id())
            .bind(event.event_type().unwrap_or_default());
        let insert = match statements.columns {
            Columns::Full => insert.bind(owner.clone()),
            Columns::Plain => insert,
        };
        let inserted = insert.execute(&mut **transaction).await.map_err(fault)?;
        if inserted.rows_affected() == 1 {
            return Ok(MarkOutcome::First);
        }
        // The lock is this transaction's now: what is read cannot change before its end.
        match self.standing_in(transaction, event).await? {
            Some(Standing::Processed) => Ok(MarkOutcome::Processed),
            Some(Standing::Claimed { left }) => Ok(MarkOutcome::InProgress { retry_after: left }),
            Some(Standing::Free) | None => {
                sqlx::query(AssertSqlSafe(self.table.name.in_statement(TAKE_OVER)))
                    .bind(event.id())
                    .bind(owner)
                    .execute(&mut **transaction)
                    .await
                    .map_err(fault)?;
                Ok(MarkOutcome::First)
            }
        }
    }

    fn commit(transaction: SqliteTransaction) -> Detached<()> {
        Box::pin(async move {
            let SqliteTransaction { transaction, table, entered } = transaction;
            let committed = transaction.commit().await;
            drop(entered);
            committed.map_err(|error| fault::explain("commit the event and its effects", &table, error))
        })
    }

    fn rollback(transaction: SqliteTransaction) -> Detached<()> {
        Box::pin(async move {
            let SqliteTransaction { transaction, table, entered } = transaction;
            let rolled_back = transaction.rollback().await;
            drop(entered);
            rolled_back.map_err(|error| fault::explain("roll the event back", &table, error))
        })
    }
}
