//! The columns and settings of a table, as this connection sees them.

use sqlx::postgres::PgConnection;

use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::name::TableName;
use crate::event_table::postgres::columns::{FoundTraps, LOOK, TRAPS, column, traps as meaning};

pub(super) async fn of(
    connection: &mut PgConnection,
    table: &TableName,
) -> Result<Vec<FoundColumn>, sqlx::Error> {
    let found: Vec<(String, bool, bool)> =
        sqlx::query_as(LOOK).persistent(false).bind(table.quoted()).fetch_all(connection).await?;
    Ok(found.into_iter().map(column).collect())
}

pub(super) async fn traps(connection: &mut PgConnection, table: &TableName) -> Result<Traps, sqlx::Error> {
    let found: Option<FoundTraps> =
        sqlx::query_as(TRAPS).persistent(false).bind(table.quoted()).fetch_optional(connection).await?;
    Ok(meaning(table, found))
}

/// Generated columns have a default in the catalogue
/// (<https://www.postgresql.org/docs/current/catalog-pg-attribute.html>). A domain may have one of its own.
const WITHOUT_DEFAULT: &str = "\
SELECT attname::text FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
  AND attidentity = '' AND typdefault IS NULL AND attname NOT IN ('event_id', 'event_type')
ORDER BY attnum";

pub(super) async fn without_default(
    connection: &mut PgConnection,
    table: &TableName,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(WITHOUT_DEFAULT).persistent(false).bind(table.quoted()).fetch_all(connection).await
}
