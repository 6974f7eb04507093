//! An inbox in MySQL or MariaDB.
//!
//! Each request is a transaction of a few statements under READ COMMITTED: under REPEATABLE READ, a take that finds
//! nothing or reaches the end of its index keeps every insert waiting. A transaction whose caller gave up is rolled back
//! with its connection, so its statements carry no deadline.

mod keys;
mod statements;
mod store;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, MySql, Row, Transaction};
use tokio::time::Instant;

use self::keys::{free, of_numbers, with_numbers};
use self::statements::Statements;
use self::store::{Held, held, store};
use super::delivery::{Counts, Received, SentDelivery, TakenBatch};
use super::dialect::{FreedHeads, InboxDialect, KEYS_OF_A_SWEEP, NewTake, Rules, TakenRows, USED_UP};
use super::names::Names;
use super::operations::expressions::{self, InboxExpressions};
use super::step::{FoundRow, Step, StepOf};
use super::taken_row::TakenRow;
use crate::retry::Attempt;
use crate::sql::PURGE_PAGE;
use crate::sql::mysql::{begin_read_committed, fault, micros};

impl InboxDialect for MySql {
    const INBOX_SCHEMA: &'static str = statements::SCHEMA;

    const INBOX_EXPRESSIONS: InboxExpressions = expressions::MYSQL;

    /// Triggers of MySQL refuse a row with an error.
    const KEEPS_ROWS_OUT: bool = false;

    type InboxStatements = Statements;

    fn inbox_statements(names: &Names, rules: Rules) -> Statements {
        Statements::new(names, rules)
    }

    async fn layout(connection: &mut MySqlConnection, names: &Names) -> Result<Option<i64>, sqlx::Error> {
        let table = names.table("");
        let layout = sqlx::query_scalar(statements::LAYOUT).bind(table.schema()).bind(table.as_str());
        Ok(layout.fetch_optional(connection).await?.flatten())
    }

    async fn receive(
        connection: &mut MySqlConnection,
        statements: &Statements,
        deliveries: &[&SentDelivery],
        _: Attempt,
    ) -> Result<Vec<Received>, sqlx::Error> {
        let mut transaction = begin(connection, statements).await?;
        let received = store(&mut transaction, statements, deliveries).await?;
        transaction.commit().await?;
        Ok(received)
    }

    async fn put(
        connection: &mut MySqlConnection,
        statements: &Statements,
        delivery: &SentDelivery,
    ) -> Result<Received, sqlx::Error> {
        if let Some(key) = &delivery.order_key {
            let lock = sqlx::query(AssertSqlSafe(Arc::clone(&statements.lock_key)));
            lock.bind(key.as_bytes()).execute(&mut *connection).await?;
        }
        let received = store(connection, statements, &[delivery]).await?;
        received.into_iter().next().ok_or(sqlx::Error::RowNotFound)
    }

    async fn take(
        connection: &mut MySqlConnection,
        statements: &Statements,
        take: &NewTake,
        attempt: Attempt,
    ) -> Result<TakenRows, sqlx::Error> {
        if attempt == Attempt::Retry
            && let Some(batch) = held_by(connection, statements, take).await?
        {
            return Ok(TakenRows::Taken(batch));
        }
        let is_due = sqlx::query(AssertSqlSafe(Arc::clone(&statements.is_due)));
        if is_due.bind(take.sender.as_bytes()).fetch_optional(&mut *connection).await?.is_none() {
            return Ok(TakenRows::Taken(TakenBatch::default()));
        }
        match take_due(connection, statements, take).await {
            // Another worker took one of the same order key at the same moment. The transaction is rolled back.
            Err(error)
                if fault::is_duplicate(&error) || fault::is_deadlock(&error) || fault::is_locked(&error) =>
            {
                Ok(TakenRows::Contended)
            }
            taken => taken.map(TakenRows::Taken),
        }
    }

    async fn step(
        connection: &mut MySqlConnection,
        statements: &Statements,
        step: Step,
        of: &[&StepOf],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let mut transaction = begin(connection, statements).await?;
        let mut all: Vec<i64> = of.iter().map(|one| one.held.seq).collect();
        all.sort_unstable();
        let mut rows: HashMap<i64, MySqlRow> = HashMap::new();
        for row in of_numbers(&statements.held, &all).fetch_all(&mut *transaction).await? {
            rows.insert(row.try_get(0)?, row);
        }
        let (mut held, mut keys) = (Vec::new(), HashSet::new());
        let mut done = Vec::new();
        for one in of {
            let row = rows.get(&one.held.seq);
            let found = row.map(found_row).transpose()?;
            let is_held = found.as_ref().is_some_and(|found| one.applies_to(found));
            let is_done = attempt == Attempt::Retry && one.is_done(found.as_ref());
            if let (true, Some(row)) = (is_held, row) {
                held.push(*one);
                keys.extend(row.try_get::<Option<Vec<u8>>, _>(4)?);
            }
            done.push(is_held || is_done);
        }
        if !held.is_empty() {
            change(&mut transaction, statements, step, &held).await?;
            if step.frees_the_next(statements.is_strict) {
                free(&mut transaction, statements, &keys.into_iter().collect::<Vec<_>>()).await?;
            }
        }
        transaction.commit().await?;
        Ok(done)
    }

    async fn next_due(
        connection: &mut MySqlConnection,
        statements: &Statements,
        sender: &str,
    ) -> Result<Option<i64>, sqlx::Error> {
        let due = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.next_due)));
        due.bind(sender.as_bytes()).fetch_one(connection).await
    }

    async fn free_heads(
        connection: &mut MySqlConnection,
        statements: &Statements,
        after: &str,
    ) -> Result<FreedHeads, sqlx::Error> {
        let blocked: Vec<(Vec<u8>, i64)> =
            sqlx::query_as(AssertSqlSafe(Arc::clone(&statements.blocked_keys)))
                .bind(after.as_bytes())
                .bind(KEYS_OF_A_SWEEP)
                .fetch_all(&mut *connection)
                .await?;
        let is_last = i64::try_from(blocked.len()).unwrap_or(i64::MAX) < KEYS_OF_A_SWEEP;
        let last_key = blocked.last().filter(|_| !is_last);
        let last_key = last_key.map(|(key, _)| String::from_utf8_lossy(key).into_owned());
        let keys: Vec<Vec<u8>> = blocked.iter().map(|(key, _)| key.clone()).collect();
        // Nothing is locked if nothing is to be freed.
        let first = if keys.is_empty() {
            HashMap::new()
        } else {
            keys::numbers_of(connection, &statements.first_of_keys, &keys).await?
        };
        let is_first = |(key, seq): (Vec<u8>, i64)| (first.get(&key) == Some(&seq)).then_some(key);
        let free_keys: Vec<Vec<u8>> = blocked.into_iter().filter_map(is_first).collect();
        if free_keys.is_empty() {
            return Ok(FreedHeads { freed: 0, last_key });
        }
        let mut transaction = begin(connection, statements).await?;
        let freed = free(&mut transaction, statements, &free_keys).await?;
        transaction.commit().await?;
        Ok(FreedHeads { freed, last_key })
    }

    async fn purge_seen(
        connection: &mut MySqlConnection,
        statements: &Statements,
        after: &[u8],
        older_than: i64,
        looks: bool,
    ) -> Result<Option<(Vec<u8>, u64)>, sqlx::Error> {
        let page_end = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.page_end)));
        let end: Option<Vec<u8>> = page_end.bind(after).bind(PURGE_PAGE).fetch_one(&mut *connection).await?;
        let Some(end) = end else { return Ok(None) };
        let purge = if looks { &statements.purge_processed } else { &statements.purge };
        let mut transaction = begin(connection, statements).await?;
        let purge = sqlx::query(AssertSqlSafe(Arc::clone(purge)));
        let page = purge.bind(after).bind(&end).bind(older_than).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some((end, page.rows_affected())))
    }

    async fn age_of_first(
        connection: &mut MySqlConnection,
        statements: &Statements,
    ) -> Result<Option<i64>, sqlx::Error> {
        let first = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.age_of_first)));
        first.fetch_optional(connection).await
    }

    async fn counts(
        connection: &mut MySqlConnection,
        statements: &Statements,
        sender: &str,
    ) -> Result<Counts, sqlx::Error> {
        let counts = sqlx::query_as(AssertSqlSafe(Arc::clone(&statements.counts)));
        Ok(Counts::of(counts.bind(sender.as_bytes()).fetch_one(connection).await?))
    }
}

async fn begin<'c>(
    connection: &'c mut MySqlConnection,
    statements: &Statements,
) -> Result<Transaction<'c, MySql>, sqlx::Error> {
    let begin = if let Some(begin) = statements.begin.get() {
        begin
    } else {
        let begin = begin_read_committed(connection).await?;
        statements.begin.get_or_init(|| begin)
    };
    connection.begin_with(*begin).await
}

fn found_row(row: &MySqlRow) -> Result<FoundRow, sqlx::Error> {
    Ok(FoundRow { token: row.try_get(1)?, owner: row.try_get(2)?, state: row.try_get(3)? })
}

async fn change(
    connection: &mut MySqlConnection,
    statements: &Statements,
    step: Step,
    held: &[&StepOf],
) -> Result<(), sqlx::Error> {
    let seqs: Vec<i64> = held.iter().map(|one| one.held.seq).collect();
    if step.deletes() {
        of_numbers(&statements.delete, &seqs).execute(&mut *connection).await?;
        of_numbers(&statements.delete_bodies, &seqs).execute(connection).await?;
        return Ok(());
    }
    if step == Step::Replay {
        return of_numbers(&statements.replay, &seqs).execute(connection).await.map(drop);
    }
    for one in held {
        let text = match step {
            Step::Renew => &statements.renew,
            Step::BackOff => &statements.back_off,
            Step::Park => &statements.park,
            Step::Release | Step::Complete | Step::Replay | Step::Discard => &statements.release,
        };
        let mut change = sqlx::query(AssertSqlSafe(Arc::clone(text)));
        if matches!(step, Step::Renew | Step::BackOff) {
            change = change.bind(micros(one.millis));
        }
        if matches!(step, Step::BackOff | Step::Park) {
            change = change.bind(&*one.error);
        }
        change.bind(one.held.seq).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn take_due(
    connection: &mut MySqlConnection,
    statements: &Statements,
    take: &NewTake,
) -> Result<TakenBatch, sqlx::Error> {
    let lease_until = Instant::now() + take.limits.lease;
    let mut transaction = begin(connection, statements).await?;
    let due = sqlx::query(AssertSqlSafe(Arc::clone(&statements.due)))
        .bind(take.sender.as_bytes())
        .bind(take.limits.events)
        .fetch_all(&mut *transaction)
        .await?;
    let due = due.iter().map(held).collect::<Result<Vec<Held>, _>>()?;
    let is_used_up = |row: &&Held| row.4 >= i64::from(take.limits.max_attempts);
    let numbers = |used_up: bool| -> Vec<i64> {
        due.iter().filter(|row| is_used_up(row) == used_up).map(|row| row.0).collect()
    };
    let (taken, used_up) = (numbers(false), numbers(true));
    let owner = take.owner.as_bytes().as_slice();
    let mut stored = HashMap::new();
    if !taken.is_empty() {
        let micros = micros(take.lease_millis);
        with_numbers(&statements.hold, &taken, |hold| hold.bind(owner).bind(micros))
            .execute(&mut *transaction)
            .await?;
        stored = bodies(&mut transaction, statements, &taken).await?;
    }
    if !used_up.is_empty() {
        with_numbers(&statements.park_used_up, &used_up, |park| park.bind(owner).bind(USED_UP))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    let rows = due.into_iter().map(|mut row| {
        let state = if is_used_up(&&row) { 2 } else { 1 };
        if state == 1 {
            row.4 += 1;
        }
        row.5 += 1;
        taken_row(row, state, &mut stored)
    });
    Ok(TakenRow::batch(rows.collect(), take, lease_until))
}

/// What an earlier attempt of the take got.
async fn held_by(
    connection: &mut MySqlConnection,
    statements: &Statements,
    take: &NewTake,
) -> Result<Option<TakenBatch>, sqlx::Error> {
    let asked_at = Instant::now();
    let rows = sqlx::query(AssertSqlSafe(Arc::clone(&statements.held_by)))
        .bind(take.sender.as_bytes())
        .bind(take.owner.as_bytes().as_slice())
        .fetch_all(&mut *connection)
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut left = micros(take.lease_millis);
    for row in &rows {
        left = left.min(row.try_get(6)?);
    }
    let rows = rows.iter().map(held).collect::<Result<Vec<Held>, _>>()?;
    let seqs: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let mut stored = bodies(connection, statements, &seqs).await?;
    let rows = rows.into_iter().map(|row| taken_row(row, 1, &mut stored)).collect();
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
    Ok(Some(TakenRow::batch(rows, take, asked_at + left)))
}

fn taken_row(row: Held, state: i64, stored: &mut HashMap<i64, Vec<u8>>) -> TakenRow {
    let (seq, key, event_type, order_key, attempts, token) = row;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    TakenRow {
        seq,
        key: text(key),
        event_type,
        order_key: order_key.map(text),
        attempts,
        token,
        state,
        stored: stored.remove(&seq).unwrap_or_default(),
    }
}

async fn bodies(
    connection: &mut MySqlConnection,
    statements: &Statements,
    seqs: &[i64],
) -> Result<HashMap<i64, Vec<u8>>, sqlx::Error> {
    let rows = of_numbers(&statements.bodies, seqs).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
