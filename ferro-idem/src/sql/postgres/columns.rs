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
