//! The negative control: a log written in a hurry. The rig has to find each of its defects.

use std::sync::Arc;
use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Detached, Error, EventRef, MarkOutcome, Owner, Ownership, ProcessedEventLog,
    SqliteLog, SqliteTransaction, TransactionalLog, async_trait,
};
use sqlx::SqlitePool;

/// Each guarantee has the two most common defects: one that runs an event twice, and one that loses it.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    log: SqliteLog,
    /// The pool for reads and marks. With one pool for everything, they would wait for transactions that wait for them.
    marks: SqlitePool,
}

impl Naive {
    pub(crate) async fn open(path: &str) -> Result<Self, Error> {
        Ok(Self { log: SqliteLog::open(path).await?, marks: SqliteLog::open(path).await?.pool().clone() })
    }

    /// Compares ids as most databases do, ignoring case: two events become one.
    async fn is_marked(&self, event_id: &str) -> Result<bool, Error> {
        sqlx::query_scalar(IS_MARKED)
            .bind(event_id)
            .fetch_one(&self.marks)
            .await
            .map_err(|error| Error::store("look", error))
    }
}

async fn run(pool: &SqlitePool, sql: &'static str, event_id: &str) -> Result<(), Error> {
    let run = sqlx::query(sql).bind(event_id).execute(pool).await;
    run.map(drop).map_err(|error| Error::store("write", error))
}

const IS_MARKED: &str =
    "SELECT EXISTS (SELECT 1 FROM stripe_processed_events WHERE event_id = ? COLLATE NOCASE)";

const MARK: &str =
    "INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?, '') ON CONFLICT DO NOTHING";

/// Reads first and marks afterwards: two concurrent deliveries both pass.
#[async_trait]
impl ProcessedEventLog for Naive {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        if self.is_marked(event_id).await? {
            return Ok(false);
        }
        run(&self.marks, MARK, event_id).await?;
        Ok(true)
    }
}

/// Releasing deletes the row, so the next claim gets the same fencing token again. Every second event is completed as
/// soon as it is claimed, so an interrupted one never runs again.
#[async_trait]
impl ClaimLog for Naive {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        let outcome = self.log.claim(event, owner, lease).await?;
        if let ClaimOutcome::Acquired { token } = outcome
            && event.id().ends_with(['1', '3', '5', '7', '9'])
        {
            self.log.complete(event.id(), Ownership { owner, token }).await?;
        }
        Ok(outcome)
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.log.renew(event_id, held, lease).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.complete(event_id, held).await
    }

    async fn release(&self, event_id: &str, _: Ownership) -> Result<bool, Error> {
        run(&self.marks, "DELETE FROM stripe_processed_events WHERE event_id = ? AND state = 0", event_id)
            .await?;
        Ok(true)
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

/// Reads, writes the effects, and marks after they are committed.
#[derive(Debug)]
pub(crate) struct NaiveTransaction {
    transaction: SqliteTransaction,
    log: Naive,
    event_id: String,
}

impl std::ops::Deref for NaiveTransaction {
    type Target = sqlx::SqliteConnection;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl std::ops::DerefMut for NaiveTransaction {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}

impl TransactionalLog for Naive {
    type Transaction = NaiveTransaction;

    fn begin(&self) -> Detached<NaiveTransaction> {
        let (log, beginning) = (self.clone(), self.log.begin());
        Box::pin(async move {
            Ok(NaiveTransaction { transaction: beginning.await?, log, event_id: String::new() })
        })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut NaiveTransaction,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        event.id().clone_into(&mut transaction.event_id);
        Ok(if self.is_marked(event.id()).await? { MarkOutcome::Processed } else { MarkOutcome::First })
    }

    fn commit(transaction: NaiveTransaction) -> Detached<()> {
        let NaiveTransaction { transaction, log, event_id } = transaction;
        Box::pin(async move {
            SqliteLog::commit(transaction).await?;
            run(&log.marks, MARK, &event_id).await
        })
    }

    fn rollback(transaction: NaiveTransaction) -> Detached<()> {
        SqliteLog::rollback(transaction.transaction)
    }
}
