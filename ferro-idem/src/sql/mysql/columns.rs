//! The columns and settings of a table, as this connection sees them.

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row};

use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::mysql::columns::{self, FoundTraps, LOOK, SHOW, TRAPS, column, in_schema};
use crate::event_table::name::TableName;

pub(super) async fn of(
    connection: &mut MySqlConnection,
    table: &TableName,
) -> Result<Vec<FoundColumn>, sqlx::Error> {
    let found: Vec<(String, i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(in_schema(LOOK, table)))
        .bind(table.as_str())
        .bind(table.as_str())
        .bind(table.as_str())
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().map(column).collect())
}

pub(super) async fn traps(connection: &mut MySqlConnection, table: &TableName) -> Result<Traps, sqlx::Error> {
    let found: FoundTraps = sqlx::query_as(AssertSqlSafe(in_schema(TRAPS, table)))
        .bind(table.as_str())
        .bind(table.as_str())
        .bind(table.as_str())
        .bind(table.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let is_temporary = is_temporary(connection, table).await?;
    Ok(columns::traps(table, found, is_temporary))
}

async fn is_temporary(connection: &mut MySqlConnection, table: &TableName) -> Result<bool, sqlx::Error> {
    let show = sqlx::raw_sql(AssertSqlSafe(table.in_statement(SHOW)));
    match show.fetch_optional(connection).await {
        Ok(Some(row)) => Ok(columns::is_temporary(&row.try_get_unchecked::<Vec<u8>, _>(1)?)),
        // There is none, or this user may not see it.
        Ok(None) | Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Outside of strict mode, the server fills them with a default of their type
/// (<https://dev.mysql.com/doc/refman/8.4/en/data-type-defaults.html>).
const WITHOUT_DEFAULT: &str = "\
SELECT CAST(column_name AS CHAR) FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = ? AND is_nullable = 'NO' AND column_default IS NULL
  AND extra NOT LIKE '%auto_increment%' AND extra NOT LIKE '%GENERATED%'
  AND LOWER(column_name) NOT IN ('event_id', 'event_type') AND @@SESSION.sql_mode LIKE '%STRICT%'
ORDER BY ordinal_position";

pub(super) async fn without_default(
    connection: &mut MySqlConnection,
    table: &TableName,
) -> Result<Vec<String>, sqlx::Error> {
    let statement = AssertSqlSafe(in_schema(WITHOUT_DEFAULT, table));
    sqlx::query_scalar(statement).bind(table.as_str()).fetch_all(connection).await
}
