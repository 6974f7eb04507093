//! Storing deliveries in MySQL and MariaDB.

use std::collections::{HashMap, HashSet};

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row};

use super::keys;
use super::statements::Statements;
use crate::inbox::delivery::{Received, SentDelivery};
use crate::sql::mysql::fault;

/// Stores the deliveries in the open transaction.
///
/// Which of them are new is read before they are inserted. Another transaction can insert one of them in between: the
/// insert waits for that one's end, and fails (1062) if it was committed. Then they are read again. `MAX_ROUNDS` such
/// races in a row are a passing fault.
pub(super) async fn store(
    connection: &mut MySqlConnection,
    statements: &Statements,
    deliveries: &[&SentDelivery],
) -> Result<Vec<Received>, sqlx::Error> {
    const MAX_ROUNDS: u32 = 4;
    let mut seen = HashSet::new();
    let mut step = None;
    for round in 0.. {
        // A lone delivery is new as a rule.
        if deliveries.len() > 1 || round > 0 {
            (seen, step) = are_seen(connection, statements, deliveries).await?;
        }
        let is_new = |delivery: &&&SentDelivery| !seen.contains(delivery.key.as_bytes());
        let new: Vec<&SentDelivery> = deliveries.iter().filter(is_new).copied().collect();
        if new.is_empty() {
            break;
        }
        match see(connection, statements, &new).await {
            Ok(()) => {
                insert(connection, statements, &new, step).await?;
                break;
            }
            Err(error) if fault::is_duplicate(&error) && round < MAX_ROUNDS => {}
            Err(error) => return Err(error),
        }
    }
    let received = |delivery: &&SentDelivery| {
        if seen.contains(delivery.key.as_bytes()) { Received::Duplicate } else { Received::First }
    };
    Ok(deliveries.iter().map(received).collect())
}

/// Also reads the step between the numbers of one insert.
async fn are_seen(
    connection: &mut MySqlConnection,
    statements: &Statements,
    deliveries: &[&SentDelivery],
) -> Result<(HashSet<Vec<u8>>, Option<i64>), sqlx::Error> {
    let (text, rows) = statements.are_seen.with(deliveries);
    let mut look = sqlx::query_as(AssertSqlSafe(text));
    for delivery in rows {
        look = look.bind(delivery.key.as_bytes());
    }
    let rows: Vec<(Vec<u8>, i64)> = look.fetch_all(connection).await?;
    let step = rows.iter().map(|(_, step)| *step).max();
    Ok((rows.into_iter().map(|(key, _)| key).filter(|key| !key.is_empty()).collect(), step))
}

/// In the order of the keys: batches that insert in any order deadlock. In one statement: one that fails takes nothing
/// back of those before it, whose keys would then be found as seen.
///
/// The keys are written into the statement, as hexadecimal literals. Otherwise it would be prepared for each number of
/// keys, and closed. The server does not answer a close, so sqlx's next request waits for the server's delayed
/// acknowledgement of it, which takes 40 ms (sqlx does not set `TCP_NODELAY`).
async fn see(
    connection: &mut MySqlConnection,
    statements: &Statements,
    new: &[&SentDelivery],
) -> Result<(), sqlx::Error> {
    let mut keys: Vec<&str> = new.iter().map(|delivery| &*delivery.key).collect();
    keys.sort_unstable();
    let see = statements.see.with_rows(keys.into_iter().map(|key| format!("(x'{}')", hex::encode(key))));
    sqlx::raw_sql(AssertSqlSafe(see)).execute(connection).await.map(drop)
}

async fn insert(
    connection: &mut MySqlConnection,
    statements: &Statements,
    new: &[&SentDelivery],
    step: Option<i64>,
) -> Result<(), sqlx::Error> {
    let keys: Vec<Vec<u8>> =
        new.iter().filter_map(|delivery| Some(delivery.order_key.as_ref()?.as_bytes().to_vec())).collect();
    let mut waiting: HashSet<Vec<u8>> = HashSet::new();
    if !keys.is_empty() {
        let first: HashMap<Vec<u8>, i64> =
            keys::numbers_of(connection, &statements.first_of_keys, &keys).await?;
        waiting.extend(first.into_keys());
        if statements.is_strict {
            let parked = keys::numbers_of(connection, &statements.parked_of_keys, &keys).await?;
            waiting.extend(parked.into_keys());
        }
    }
    let mut rows = new;
    while !rows.is_empty() {
        let (part, others) = rows.split_at(rows_of_a_part(rows.len()));
        insert_part(connection, statements, part, step, &mut waiting).await?;
        rows = others;
    }
    Ok(())
}

/// How many rows the next statement has. The statements of few sizes are prepared once for each connection.
///
/// A server answers with the description of each parameter. If that is more than its buffer of 16 KB, its last part
/// waits for our delayed acknowledgement, which takes 40 ms.
fn rows_of_a_part(rows: usize) -> usize {
    const MAX_ROWS: usize = 64;
    1 << rows.clamp(1, MAX_ROWS).ilog2()
}

/// The keys of the transaction are seen before, so its parts need not be in one statement.
///
/// `step`: between the numbers of the rows, to find each row's body its row. A lone row needs none.
async fn insert_part(
    connection: &mut MySqlConnection,
    statements: &Statements,
    part: &[&SentDelivery],
    step: Option<i64>,
    waiting: &mut HashSet<Vec<u8>>,
) -> Result<(), sqlx::Error> {
    let mut insert = sqlx::query(AssertSqlSafe(statements.store.of_rows(part.len())));
    for delivery in part {
        let order_key = delivery.order_key.as_ref().map(|key| key.as_bytes());
        let is_behind = order_key.is_some_and(|key| !waiting.insert(key.to_vec()));
        insert = insert
            .bind(delivery.sender.as_bytes())
            .bind(delivery.key.as_bytes())
            .bind(&*delivery.event_type)
            .bind(order_key)
            .bind(if is_behind { 3 } else { 0 })
            .bind(step)
            .bind(is_behind);
    }
    insert.execute(&mut *connection).await?;
    let mut insert = sqlx::query(AssertSqlSafe(statements.store_bodies.of_rows(part.len())));
    for (n, delivery) in (0_i64..).zip(part) {
        insert = insert.bind(n * step.unwrap_or_default()).bind(&*delivery.stored);
    }
    insert.execute(connection).await.map(drop)
}

/// A row of a take, without its state and body.
pub(super) type Held = (i64, Vec<u8>, String, Option<Vec<u8>>, i64, i64);

pub(super) fn held(row: &sqlx::mysql::MySqlRow) -> Result<Held, sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?))
}

#[cfg(test)]
mod tests {
    use super::rows_of_a_part;

    #[test]
    fn any_number_of_rows_is_inserted_by_statements_of_seven_sizes() {
        for rows in 1..=1_024 {
            let (mut left, mut parts) = (rows, 0);
            while left > 0 {
                let part = rows_of_a_part(left);
                assert!(part <= left && part.is_power_of_two() && part <= 64, "{part} of {left}");
                left -= part;
                parts += 1;
            }
            assert!(parts <= rows / 64 + 6, "{rows} rows in {parts} parts");
        }
    }
}
