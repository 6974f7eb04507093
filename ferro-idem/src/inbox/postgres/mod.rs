//! An inbox in PostgreSQL.

mod listen;
mod statements;
mod steps;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::statements::Statements;
use super::channel::Channel;
use super::delivery::{Counts, Received, SentDelivery, TakenBatch};
use super::dialect::{FreedHeads, InboxDialect, KEYS_OF_A_SWEEP, NewTake, Rules, TakenRows, USED_UP};
use super::names::Names;
use super::operations::expressions::{self, InboxExpressions};
use super::step::{FoundRow, Step, StepOf};
use super::taken_row::TakenRow;
use crate::retry::Attempt;
use crate::sql::PURGE_PAGE;
use crate::sql::postgres::{deadline, uuid};

impl InboxDialect for Postgres {
    const INBOX_SCHEMA: &'static str = statements::SCHEMA;

    const INBOX_EXPRESSIONS: InboxExpressions = expressions::POSTGRES;

    type InboxStatements = Statements;

    const KEEPS_ROWS_OUT: bool = true;

    fn inbox_statements(names: &Names, rules: Rules) -> Statements {
        Statements::new(names, rules)
    }

    async fn layout(connection: &mut PgConnection, names: &Names) -> Result<Option<i64>, sqlx::Error> {
        let layout = sqlx::query_scalar(statements::LAYOUT).persistent(false).bind(names.table("").quoted());
        Ok(layout.fetch_optional(connection).await?.flatten())
    }

    async fn receive(
        connection: &mut PgConnection,
        statements: &Statements,
        deliveries: &[&SentDelivery],
        attempt: Attempt,
    ) -> Result<Vec<Received>, sqlx::Error> {
        let deadline = deadline::of(connection, &statements.clock).await?;
        let has_keys = deliveries.iter().any(|delivery| delivery.order_key.is_some());
        let sender = deliveries.first().map(|delivery| &*delivery.sender);
        let rows = match (deliveries, attempt) {
            ([one], Attempt::First) if !has_keys => {
                let receive = statements.planned_once(&statements.receive_one).bind(deadline).bind(sender);
                let receive = receive.bind(&*one.key).bind(&*one.event_type).bind(&*one.stored);
                receive.fetch_all(&mut *connection).await
            }
            _ => {
                let of = |text: fn(&SentDelivery) -> &str| -> Vec<&str> {
                    deliveries.iter().map(|delivery| text(delivery)).collect()
                };
                let order_keys: Vec<Option<&str>> =
                    deliveries.iter().map(|delivery| delivery.order_key.as_deref()).collect();
                let bodies: Vec<&[u8]> = deliveries.iter().map(|delivery| &*delivery.stored).collect();
                // Which of the order keys are there is looked up, by a plan that must fit the table as it is now.
                let receive = if has_keys {
                    planned_each_time(&statements.receive_keyed)
                } else {
                    statements.planned_once(&statements.receive)
                };
                let receive = receive.bind(deadline).bind(sender).bind(of(|delivery| &delivery.key));
                let receive = receive.bind(of(|delivery| &delivery.event_type)).bind(order_keys).bind(bodies);
                receive.fetch_all(&mut *connection).await
            }
        };
        let rows = deadline::checked(rows, &statements.clock)?;
        let first: HashSet<&str> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok(deliveries.iter().map(|delivery| received(first.contains(&*delivery.key))).collect())
    }

    async fn put(
        connection: &mut PgConnection,
        statements: &Statements,
        delivery: &SentDelivery,
    ) -> Result<Received, sqlx::Error> {
        if let Some(key) = &delivery.order_key {
            statements.planned_once(&statements.lock_key).bind(&**key).execute(&mut *connection).await?;
        }
        let put = planned_each_time(&statements.put)
            .bind(&*delivery.sender)
            .bind(&*delivery.key)
            .bind(&*delivery.event_type)
            .bind(delivery.order_key.as_deref())
            .bind(&*delivery.stored);
        Ok(received(put.fetch_optional(connection).await?.is_some()))
    }

    async fn take(
        connection: &mut PgConnection,
        statements: &Statements,
        take: &NewTake,
        attempt: Attempt,
    ) -> Result<TakenRows, sqlx::Error> {
        let asked_at = Instant::now();
        if attempt == Attempt::Retry {
            let held = planned_each_time(&statements.held_by).bind(&*take.sender).bind(uuid(take.owner));
            let rows = held.fetch_all(&mut *connection).await?;
            if !rows.is_empty() {
                let mut left = take.lease_millis;
                for row in &rows {
                    left = left.min(row.try_get(8)?);
                }
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                return batch_of(&rows, take, asked_at + left).map(TakenRows::Taken);
            }
        }
        let deadline = deadline::of(connection, &statements.clock).await?;
        let lease_until = Instant::now() + take.limits.lease;
        let rows = planned_each_time(&statements.take)
            .bind(deadline)
            .bind(&*take.sender)
            .bind(uuid(take.owner))
            .bind(take.lease_millis)
            .bind(i64::from(take.limits.max_attempts))
            .bind(i64::from(take.limits.events))
            .bind(USED_UP)
            .fetch_all(&mut *connection)
            .await;
        match deadline::checked(rows, &statements.clock) {
            Ok(rows) => batch_of(&rows, take, lease_until).map(TakenRows::Taken),
            Err(error) if is_taken_already(&error) => Ok(TakenRows::Contended),
            Err(error) => Err(error),
        }
    }

    async fn step(
        connection: &mut PgConnection,
        statements: &Statements,
        step: Step,
        of: &[&StepOf],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let deadline = deadline::of(connection, &statements.clock).await?;
        let seqs: Vec<i64> = of.iter().map(|one| one.held.seq).collect();
        let tokens: Vec<i64> = of.iter().map(|one| one.token()).collect();
        let owners: Vec<Uuid> = of.iter().map(|one| uuid(one.held.ownership.owner)).collect();
        let rows = planned_each_time(statements.step(step))
            .bind(deadline)
            .bind(&seqs)
            .bind(&tokens)
            .bind(&owners)
            .bind(of.iter().map(|one| one.millis).collect::<Vec<_>>())
            .bind(of.iter().map(|one| &*one.error).collect::<Vec<_>>())
            .fetch_all(&mut *connection)
            .await;
        let rows = deadline::checked(rows, &statements.clock)?;
        let mut changed: HashSet<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        if step == Step::Replay {
            let keys: Vec<Option<&str>> = rows.iter().map(|row| row.try_get(1)).collect::<Result<_, _>>()?;
            let keys: Vec<&str> = keys.into_iter().flatten().collect();
            if !keys.is_empty() {
                planned_each_time(&statements.free_keys).bind(keys).execute(&mut *connection).await?;
            }
        }
        if attempt == Attempt::Retry && changed.len() < of.len() {
            let mut found = HashMap::new();
            for row in planned_each_time(&statements.found).bind(&seqs).fetch_all(connection).await? {
                let owner = row.try_get::<Option<Uuid>, _>(2)?.map(|owner| owner.as_bytes().to_vec());
                let (token, state) = (row.try_get(1)?, row.try_get(3)?);
                found.insert(row.try_get::<i64, _>(0)?, FoundRow { token, owner, state });
            }
            let done = of.iter().filter(|one| one.is_done(found.get(&one.held.seq)));
            changed.extend(done.map(|one| one.held.seq));
        }
        Ok(seqs.iter().map(|seq| changed.contains(seq)).collect())
    }

    async fn next_due(
        connection: &mut PgConnection,
        statements: &Statements,
        sender: &str,
    ) -> Result<Option<i64>, sqlx::Error> {
        planned_each_time(&statements.next_due).bind(sender).fetch_one(connection).await?.try_get(0)
    }

    async fn free_heads(
        connection: &mut PgConnection,
        statements: &Statements,
        after: &str,
    ) -> Result<FreedHeads, sqlx::Error> {
        let row = planned_each_time(&statements.free_heads)
            .bind(after)
            .bind(i32::try_from(KEYS_OF_A_SWEEP).unwrap_or(i32::MAX))
            .fetch_one(connection)
            .await?;
        let freed: i64 = row.try_get(0)?;
        Ok(FreedHeads { freed: u64::try_from(freed).unwrap_or(0), last_key: row.try_get(1)? })
    }

    async fn purge_seen(
        connection: &mut PgConnection,
        statements: &Statements,
        after: &[u8],
        older_than: i64,
        looks: bool,
    ) -> Result<Option<(Vec<u8>, u64)>, sqlx::Error> {
        let after = String::from_utf8_lossy(after);
        let page_end = statements.planned_once(&statements.page_end).bind(&*after).bind(PURGE_PAGE);
        let end: Option<String> = page_end.fetch_one(&mut *connection).await?.try_get(0)?;
        let Some(end) = end else { return Ok(None) };
        let purge = planned_each_time(if looks { &statements.purge_processed } else { &statements.purge });
        let page = purge.bind(&*after).bind(&end).bind(older_than).execute(connection).await?;
        Ok(Some((end.into_bytes(), page.rows_affected())))
    }

    async fn age_of_first(
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<Option<i64>, sqlx::Error> {
        let first = planned_each_time(&statements.age_of_first).fetch_optional(connection).await?;
        first.map(|row| row.try_get(0)).transpose()
    }

    const TELLS_OTHERS: bool = true;

    async fn tell(pool: &PgPool, channel: &Channel) -> Result<(), sqlx::Error> {
        listen::tell(pool, channel).await
    }

    async fn listen(pool: &PgPool, channel: &Channel, woken: &Notify) -> Result<(), sqlx::Error> {
        listen::listen(pool, channel, woken).await
    }

    async fn counts(
        connection: &mut PgConnection,
        statements: &Statements,
        sender: &str,
    ) -> Result<Counts, sqlx::Error> {
        let row = planned_each_time(&statements.counts).bind(sender).fetch_one(connection).await?;
        Ok(Counts::of((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)))
    }
}

impl Statements {
    /// A statement whose plan does not depend on how much is in the tables. It is prepared once, if the server keeps it.
    fn planned_once<'q>(&self, text: &Arc<str>) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(text))).persistent(self.persists)
    }
}

/// A statement that the server would keep a bad plan of: one that was made while the tables were nearly empty.
fn planned_each_time<'q>(text: &Arc<str>) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(Arc::clone(text))).persistent(false)
}

fn batch_of(rows: &[PgRow], take: &NewTake, lease_until: Instant) -> Result<TakenBatch, sqlx::Error> {
    let row = |row: &PgRow| {
        Ok(TakenRow {
            seq: row.try_get(0)?,
            key: row.try_get(1)?,
            event_type: row.try_get(2)?,
            order_key: row.try_get(3)?,
            attempts: row.try_get(4)?,
            token: row.try_get(5)?,
            state: row.try_get(6)?,
            stored: row.try_get::<Option<Vec<u8>>, _>(7)?.unwrap_or_default(),
        })
    };
    Ok(TakenRow::batch(rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?, take, lease_until))
}

/// Another worker took one of the same order key at the same moment: its unique index refuses the second, or the two
/// have locked each other's.
fn is_taken_already(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("23505" | "40P01"))
}

fn received(is_first: bool) -> Received {
    if is_first { Received::First } else { Received::Duplicate }
}
