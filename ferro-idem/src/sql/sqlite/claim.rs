//! Claims, each step one statement that takes the write lock by itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::{SqliteLog, fault};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::sql::table::TableName;

/// Times are `unixepoch('subsec')`, in milliseconds: the store's clock, read when the statement has
/// the lock.
const CLAIM: &str = "INSERT INTO stripe_processed_events AS e \
     (event_id, event_type, state, owner, fence, lease_until) \
     VALUES (?1, ?2, 0, ?3, 1, CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4) \
     ON CONFLICT (event_id) DO UPDATE SET state = 0, owner = excluded.owner, \
     fence = e.fence + (e.owner IS NOT excluded.owner), lease_until = excluded.lease_until, \
     updated_at = CURRENT_TIMESTAMP \
     WHERE e.state <> 1 AND (e.owner = excluded.owner OR e.state = 2 \
     OR e.lease_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
     RETURNING fence";

pub(super) const LOOK: &str = "SELECT state, lease_until - CAST(unixepoch('subsec') * 1000 AS INTEGER) \
     FROM stripe_processed_events WHERE event_id = ?1";

const RENEW: &str = "UPDATE stripe_processed_events \
     SET lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4 \
     WHERE event_id = ?1 AND owner = ?2 AND fence = ?3 AND state = 0";

const COMPLETE: &str = "UPDATE stripe_processed_events \
     SET state = 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP \
     WHERE event_id = ?1 AND owner = ?2 AND fence = ?3 AND state IN (0, 1)";

const RELEASE: &str = "UPDATE stripe_processed_events \
     SET state = 2, lease_until = NULL, updated_at = CURRENT_TIMESTAMP \
     WHERE event_id = ?1 AND owner = ?2 AND fence = ?3 AND state IN (0, 2)";

/// Written out for one table.
pub(super) struct Statements {
    claim: Arc<str>,
    look: Arc<str>,
    renew: Arc<str>,
    complete: Arc<str>,
    release: Arc<str>,
}

impl Statements {
    fn new(table: &TableName) -> Self {
        let written = |statement| Arc::from(table.in_statement(statement));
        Self {
            claim: written(CLAIM),
            look: written(LOOK),
            renew: written(RENEW),
            complete: written(COMPLETE),
            release: written(RELEASE),
        }
    }
}

impl SqliteLog {
    pub(super) async fn claim_statements(&self) -> Result<&Statements, Error> {
        if let Some(statements) = self.table.claim_statements.get() {
            return Ok(statements);
        }
        fault::claim_columns_of(&self.table.name, &self.columns().await?)?;
        Ok(self.table.claim_statements.get_or_init(|| Statements::new(&self.table.name)))
    }

    /// Whether one row was held, and was changed.
    async fn settle(
        &self,
        operation: &'static str,
        statement: &Arc<str>,
        event_id: &str,
        held: Ownership,
        lease: Option<Duration>,
    ) -> Result<bool, Error> {
        let update = sqlx::query(AssertSqlSafe(Arc::clone(statement)))
            .bind(event_id)
            .bind(held.owner.as_bytes().to_vec())
            .bind(i64::try_from(held.fence).unwrap_or(i64::MAX));
        let update = match lease {
            Some(lease) => update.bind(millis(lease)),
            None => update,
        };
        let updated = update.execute(&self.pool).await.map_err(|error| self.fault(operation, error))?;
        Ok(updated.rows_affected() == 1)
    }
}

#[async_trait]
impl ClaimLog for SqliteLog {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        let statements = self.claim_statements().await?;
        let fault = |error| self.fault("claim the event", error);
        loop {
            let fence: Option<i64> = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.claim)))
                .bind(event.id())
                .bind(event.event_type().unwrap_or_default())
                .bind(owner.as_bytes().to_vec())
                .bind(millis(lease))
                .fetch_optional(&self.pool)
                .await
                .map_err(fault)?;
            if let Some(fence) = fence {
                return Ok(ClaimOutcome::Acquired { fence: u64::try_from(fence).unwrap_or(0) });
            }
            let row = sqlx::query(AssertSqlSafe(Arc::clone(&statements.look)))
                .bind(event.id())
                .fetch_optional(&self.pool)
                .await
                .map_err(fault)?;
            // Without a row, or with one that was freed meanwhile, it can be claimed now.
            match row.as_ref().map(Standing::of).transpose().map_err(fault)? {
                Some(Standing::Processed) => return Ok(ClaimOutcome::Processed),
                Some(Standing::Claimed { left }) => {
                    return Ok(ClaimOutcome::InProgress { retry_after: left });
                }
                Some(Standing::Free) | None => {}
            }
        }
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        let statement = &self.claim_statements().await?.renew;
        self.settle("renew the claim", statement, event_id, held, Some(lease)).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        let statement = &self.claim_statements().await?.complete;
        self.settle("complete the event", statement, event_id, held, None).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        let statement = &self.claim_statements().await?.release;
        self.settle("release the event", statement, event_id, held, None).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

/// How an event stands that could not be had at once.
pub(super) enum Standing {
    Processed,
    Claimed {
        left: Duration,
    },
    /// Released, or its lease is over.
    Free,
}

impl Standing {
    /// Of a row of [`LOOK`].
    pub(super) fn of(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let (state, left): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        Ok(match (state, left.and_then(|left| u64::try_from(left).ok())) {
            (1, _) => Self::Processed,
            (0, Some(left)) if left > 0 => Self::Claimed { left: Duration::from_millis(left) },
            _ => Self::Free,
        })
    }
}

fn millis(duration: Duration) -> i64 {
    // A century, so that adding it to the time cannot overflow.
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(3_155_760_000_000)
}
