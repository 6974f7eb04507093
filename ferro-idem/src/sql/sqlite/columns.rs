//! The columns and settings of a table, as this connection sees them.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::name::TableName;
use crate::event_table::sqlite::columns::{self, FoundTraps, LOOK, TRAPS, column, in_schema, pragma, schema};

pub(super) async fn of(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<Vec<FoundColumn>, sqlx::Error> {
    let found: Vec<(String, bool, bool)> = sqlx::query_as(AssertSqlSafe(in_schema(LOOK, table)))
        .bind(table.as_str())
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().map(column).collect())
}

pub(super) async fn traps(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<Traps, sqlx::Error> {
    let found: FoundTraps = sqlx::query_as(AssertSqlSafe(in_schema(TRAPS, table)))
        .bind(table.as_str())
        .bind(schema(table))
        .fetch_one(&mut *connection)
        .await?;
    let setting = |name: &str| AssertSqlSafe(pragma(table, name));
    let journal: String = sqlx::query_scalar(setting("journal_mode")).fetch_one(&mut *connection).await?;
    let synchronous: i64 = sqlx::query_scalar(setting("synchronous")).fetch_one(&mut *connection).await?;
    Ok(columns::traps(table, found, &journal, synchronous))
}

/// An INTEGER PRIMARY KEY is filled by SQLite. Generated columns are not listed.
const WITHOUT_DEFAULT: &str = "\
SELECT name FROM pragma_table_info(?1)
WHERE \"notnull\" AND dflt_value IS NULL AND NOT (pk = 1 AND upper(type) = 'INTEGER')
  AND lower(name) NOT IN ('event_id', 'event_type')
ORDER BY cid";

pub(super) async fn without_default(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<Vec<String>, sqlx::Error> {
    let statement = AssertSqlSafe(in_schema(WITHOUT_DEFAULT, table));
    sqlx::query_scalar(statement).bind(table.as_str()).fetch_all(connection).await
}
