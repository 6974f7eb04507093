//! An inbox in SQLite: one writer, no server, no answer that could be lost.

mod statements;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row, Sqlite, Transaction};
use tokio::time::Instant;

use self::statements::Statements;
use super::delivery::{Counts, Received, SentDelivery, TakenBatch};
use super::dialect::{FreedHeads, InboxDialect, KEYS_OF_A_SWEEP, NewTake, Rules, TakenRows, USED_UP};
use super::names::Names;
use super::operations::expressions::{self, InboxExpressions};
use super::step::{FoundRow, Step, StepOf};
use super::taken_row::TakenRow;
use crate::retry::Attempt;
use crate::sql::Many;
use crate::sql::sqlite::ended::forget_ended_transaction;
use crate::sql::sqlite::purge;

/// Takes the write lock before anything is read, so that no later statement can fail for a stale snapshot.
const BEGIN: &str = "BEGIN IMMEDIATE";

impl InboxDialect for Sqlite {
    const INBOX_SCHEMA: &'static str = statements::SCHEMA;

    const INBOX_EXPRESSIONS: InboxExpressions = expressions::SQLITE;
    const KEEPS_ROWS_OUT: bool = true;

    type InboxStatements = Statements;

    fn inbox_statements(names: &Names, rules: Rules) -> Statements {
        Statements::new(names, rules)
    }

    async fn layout(connection: &mut SqliteConnection, names: &Names) -> Result<Option<i64>, sqlx::Error> {
        let look = "SELECT CAST(dflt_value AS INTEGER) FROM pragma_table_info(?1) WHERE name = 'layout'";
        sqlx::query_scalar(look).bind(names.table("").as_str()).fetch_optional(connection).await
    }

    async fn receive(
        connection: &mut SqliteConnection,
        statements: &Statements,
        deliveries: &[&SentDelivery],
        _: Attempt,
    ) -> Result<Vec<Received>, sqlx::Error> {
        let mut transaction = begin(connection).await?;
        let received = store(&mut transaction, statements, deliveries).await?;
        transaction.commit().await?;
        Ok(received)
    }

    /// The insert takes the write lock, and with it all order keys.
    async fn put(
        connection: &mut SqliteConnection,
        statements: &Statements,
        delivery: &SentDelivery,
    ) -> Result<Received, sqlx::Error> {
        let received = store(connection, statements, &[delivery]).await?;
        received.into_iter().next().ok_or(sqlx::Error::RowNotFound)
    }

    async fn take(
        connection: &mut SqliteConnection,
        statements: &Statements,
        take: &NewTake,
        _: Attempt,
    ) -> Result<TakenRows, sqlx::Error> {
        let is_due = sqlx::query(AssertSqlSafe(Arc::clone(&statements.is_due))).bind(&*take.sender);
        if is_due.fetch_optional(&mut *connection).await?.is_none() {
            return Ok(TakenRows::Taken(TakenBatch::default()));
        }
        let lease_until = Instant::now() + take.limits.lease;
        let rows = sqlx::query(AssertSqlSafe(Arc::clone(&statements.take)))
            .bind(take.owner.as_bytes().as_slice())
            .bind(take.lease_millis)
            .bind(take.limits.max_attempts)
            .bind(take.limits.events)
            .bind(USED_UP)
            .bind(&*take.sender)
            .fetch_all(&mut *connection)
            .await?;
        let row = |row: &SqliteRow| {
            Ok(TakenRow {
                seq: row.try_get(0)?,
                key: row.try_get(1)?,
                event_type: row.try_get(2)?,
                order_key: row.try_get(3)?,
                attempts: row.try_get(4)?,
                token: row.try_get(5)?,
                state: row.try_get(6)?,
                stored: Vec::new(),
            })
        };
        let rows = rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?;
        let mut batch = TakenRow::batch(rows, take, lease_until);
        let seqs: Vec<i64> = batch.taken.iter().map(|taken| taken.held.seq).collect();
        let mut bodies: HashMap<i64, Vec<u8>> = HashMap::new();
        if !seqs.is_empty() {
            for row in of_numbers(&statements.bodies, &seqs).fetch_all(connection).await? {
                bodies.insert(row.try_get(0)?, row.try_get(1)?);
            }
        }
        for taken in &mut batch.taken {
            taken.stored = bodies.remove(&taken.held.seq).unwrap_or_default();
        }
        Ok(TakenRows::Taken(batch))
    }

    async fn step(
        connection: &mut SqliteConnection,
        statements: &Statements,
        step: Step,
        of: &[&StepOf],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let mut transaction = begin(connection).await?;
        let (text, rows) = statements.step(step).with(of);
        let mut change = sqlx::query(AssertSqlSafe(text));
        for one in rows {
            change = change
                .bind(one.held.seq)
                .bind(one.token())
                .bind(one.held.ownership.owner.as_bytes().as_slice())
                .bind(one.millis)
                .bind(&*one.error);
        }
        let mut changed = HashSet::new();
        let mut keys = HashSet::new();
        for row in change.fetch_all(&mut *transaction).await? {
            changed.insert(row.try_get::<i64, _>(0)?);
            keys.extend(row.try_get::<Option<String>, _>(1)?);
        }
        if step.deletes() && !changed.is_empty() {
            let gone: Vec<i64> = changed.iter().copied().collect();
            of_numbers(&statements.delete_bodies, &gone).execute(&mut *transaction).await?;
        }
        if step.frees_the_next(statements.is_strict) && !keys.is_empty() {
            free(&mut transaction, statements, &keys.into_iter().collect::<Vec<_>>()).await?;
        }
        if attempt == Attempt::Retry && changed.len() < of.len() {
            done_before(&mut transaction, statements, of, &mut changed).await?;
        }
        transaction.commit().await?;
        Ok(of.iter().map(|one| changed.contains(&one.held.seq)).collect())
    }

    async fn next_due(
        connection: &mut SqliteConnection,
        statements: &Statements,
        sender: &str,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.next_due)))
            .bind(sender)
            .fetch_one(connection)
            .await
    }

    async fn free_heads(
        connection: &mut SqliteConnection,
        statements: &Statements,
        after: &str,
    ) -> Result<FreedHeads, sqlx::Error> {
        let heads: Vec<(String, Option<bool>)> = sqlx::query_as(AssertSqlSafe(Arc::clone(&statements.heads)))
            .bind(after)
            .bind(KEYS_OF_A_SWEEP)
            .fetch_all(&mut *connection)
            .await?;
        let is_last = i64::try_from(heads.len()).unwrap_or(i64::MAX) < KEYS_OF_A_SWEEP;
        let last_key = heads.last().map(|(key, _)| key.clone()).filter(|_| !is_last);
        let keys: Vec<String> =
            heads.into_iter().filter_map(|(key, is_free)| is_free?.then_some(key)).collect();
        // Nothing is written if nothing is to be freed.
        let freed = if keys.is_empty() { 0 } else { free(connection, statements, &keys).await? };
        Ok(FreedHeads { freed, last_key })
    }

    async fn purge_seen(
        connection: &mut SqliteConnection,
        statements: &Statements,
        after: &[u8],
        older_than: i64,
        looks: bool,
    ) -> Result<Option<(Vec<u8>, u64)>, sqlx::Error> {
        let delete = if looks { &statements.purge_processed } else { &statements.purge };
        purge::page(connection, [&statements.page_end, delete], after, older_than).await
    }

    async fn age_of_first(
        connection: &mut SqliteConnection,
        statements: &Statements,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.age_of_first)))
            .fetch_optional(connection)
            .await
    }

    async fn counts(
        connection: &mut SqliteConnection,
        statements: &Statements,
        sender: &str,
    ) -> Result<Counts, sqlx::Error> {
        let counts: (i64, i64, i64, Option<i64>) =
            sqlx::query_as(AssertSqlSafe(Arc::clone(&statements.counts)))
                .bind(sender)
                .fetch_one(connection)
                .await?;
        Ok(Counts::of(counts))
    }
}

async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, sqlx::Error> {
    forget_ended_transaction(connection).await?;
    connection.begin_with(BEGIN).await
}

async fn store(
    connection: &mut SqliteConnection,
    statements: &Statements,
    deliveries: &[&SentDelivery],
) -> Result<Vec<Received>, sqlx::Error> {
    let (text, rows) = statements.see.with(deliveries);
    let mut see = sqlx::query_scalar(AssertSqlSafe(text));
    for delivery in rows {
        see = see.bind(&*delivery.key);
    }
    let first: HashSet<String> = see.fetch_all(&mut *connection).await?.into_iter().collect();
    let is_first = |delivery: &SentDelivery| first.contains(&*delivery.key);
    let mut keys = HashSet::new();
    let new: Vec<(i64, &SentDelivery, bool)> = (0..)
        .zip(deliveries.iter().copied().filter(|delivery| is_first(delivery)))
        .map(|(n, delivery)| (n, delivery, delivery.order_key.as_ref().is_some_and(|key| !keys.insert(key))))
        .collect();
    if !new.is_empty() {
        let (text, rows) = statements.store.with(&new);
        let mut insert = sqlx::query_as(AssertSqlSafe(text));
        for (n, delivery, repeats) in rows {
            insert = insert
                .bind(n)
                .bind(&*delivery.sender)
                .bind(&*delivery.key)
                .bind(&*delivery.event_type)
                .bind(delivery.order_key.as_deref())
                .bind(repeats);
        }
        let seqs: HashMap<String, i64> = insert.fetch_all(&mut *connection).await?.into_iter().collect();
        if seqs.len() < new.len() {
            return Err(sqlx::Error::RowNotFound);
        }
        let (text, rows) = statements.store_bodies.with(&new);
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for (_, delivery, _) in rows {
            insert = insert.bind(seqs.get(&*delivery.key)).bind(&*delivery.stored);
        }
        insert.execute(connection).await?;
    }
    let received =
        |delivery: &&SentDelivery| if is_first(delivery) { Received::First } else { Received::Duplicate };
    Ok(deliveries.iter().map(received).collect())
}

async fn free(
    connection: &mut SqliteConnection,
    statements: &Statements,
    keys: &[String],
) -> Result<u64, sqlx::Error> {
    let (text, rows) = statements.free.with(keys);
    let mut free = sqlx::query(AssertSqlSafe(text));
    for key in rows {
        free = free.bind(key);
    }
    Ok(free.execute(connection).await?.rows_affected())
}

/// Adds the deliveries that an earlier attempt of the step has changed.
async fn done_before(
    connection: &mut SqliteConnection,
    statements: &Statements,
    of: &[&StepOf],
    changed: &mut HashSet<i64>,
) -> Result<(), sqlx::Error> {
    let seqs: Vec<i64> = of.iter().map(|one| one.held.seq).collect();
    let mut found = HashMap::new();
    for row in of_numbers(&statements.found, &seqs).fetch_all(connection).await? {
        let (token, owner, state) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        found.insert(row.try_get::<i64, _>(0)?, FoundRow { token, owner, state });
    }
    let done = of.iter().filter(|one| one.is_done(found.get(&one.held.seq)));
    changed.extend(done.map(|one| one.held.seq));
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

/// The statement for these numbers.
fn of_numbers(statement: &Many<String>, seqs: &[i64]) -> Query<'static> {
    let (text, rows) = statement.with(seqs);
    let mut query = sqlx::query(AssertSqlSafe(text));
    for seq in rows {
        query = query.bind(*seq);
    }
    query
}
