//! Order keys and numbers in MySQL and MariaDB.

use std::collections::HashMap;

use sqlx::mysql::{MySqlArguments, MySqlConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, MySql};

use super::statements::Statements;
use crate::sql::Many;

/// A number for each of these keys that has one.
pub(super) async fn numbers_of(
    connection: &mut MySqlConnection,
    statement: &Many<String>,
    keys: &[Vec<u8>],
) -> Result<HashMap<Vec<u8>, i64>, sqlx::Error> {
    let (text, rows) = statement.with(keys);
    let mut look = sqlx::query_as(AssertSqlSafe(text));
    for key in rows {
        look = look.bind(key);
    }
    Ok(look.fetch_all(connection).await?.into_iter().collect())
}

/// Frees the first delivery of each of these keys, if it waits for another one.
pub(super) async fn free(
    connection: &mut MySqlConnection,
    statements: &Statements,
    keys: &[Vec<u8>],
) -> Result<u64, sqlx::Error> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut first = numbers_of(connection, &statements.first_of_keys, keys).await?;
    if statements.is_strict {
        let parked = numbers_of(connection, &statements.parked_of_keys, keys).await?;
        first.retain(|key, first| parked.get(key).is_none_or(|parked| parked > first));
    }
    if first.is_empty() {
        return Ok(0);
    }
    let mut seqs: Vec<i64> = first.into_values().collect();
    // Always in this order, so that no two deadlock.
    seqs.sort_unstable();
    Ok(of_numbers(&statements.free, &seqs).execute(connection).await?.rows_affected())
}

/// The statement for these numbers.
pub(super) fn of_numbers(statement: &Many<String>, seqs: &[i64]) -> Query<'static, MySql, MySqlArguments> {
    with_numbers(statement, seqs, |query| query)
}

/// The statement with these values in front of its numbers.
pub(super) fn with_numbers<'q>(
    statement: &Many<String>,
    seqs: &[i64],
    before: impl FnOnce(Query<'q, MySql, MySqlArguments>) -> Query<'q, MySql, MySqlArguments>,
) -> Query<'q, MySql, MySqlArguments> {
    let (text, rows) = statement.with(seqs);
    let mut query = before(sqlx::query(AssertSqlSafe(text)));
    for seq in rows {
        query = query.bind(*seq);
    }
    query
}
