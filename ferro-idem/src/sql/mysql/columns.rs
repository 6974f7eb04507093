//! The columns that a table has, whether they tell ids apart, and its keys and engine.

use sqlx::mysql::MySqlConnection;

use crate::sql::columns::FoundColumn;
use crate::sql::table::TableName;

/// BINARY(n) filled its values up with zeros, which no id holds.
pub(super) const COMPARE_BYTES: &str = "\
ALTER TABLE stripe_processed_events MODIFY event_id VARBINARY(255) NOT NULL;
UPDATE stripe_processed_events SET event_id = TRIM(TRAILING x'00' FROM event_id) WHERE RIGHT(event_id, 1) = x'00';";

/// Bytes, and as many as an id can have: outside of strict mode the server cuts what is too long.
///
/// An insert into a table without a key goes through each time, so the keys are looked at here. So is the
/// engine: one without transactions takes a rollback with no more than a warning.
const LOOK: &str = "SELECT CAST(column_name AS CHAR), \
     CAST((data_type = 'varbinary' OR data_type LIKE '%blob') AND character_maximum_length >= 255 AS SIGNED), \
     CAST(column_name IN (SELECT MIN(column_name) FROM information_schema.statistics \
     WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 \
     GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(sub_part) IS NULL) AS SIGNED), \
     CAST(EXISTS (SELECT 1 FROM information_schema.tables AS t \
     JOIN information_schema.engines AS e ON e.engine = t.engine AND e.transactions = 'YES' \
     WHERE t.table_schema = DATABASE() AND t.table_name = ?) AS SIGNED) \
     FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?";

pub(super) async fn of(
    connection: &mut MySqlConnection,
    table: &TableName,
) -> Result<Vec<FoundColumn>, sqlx::Error> {
    let found: Vec<(String, i64, i64, i64)> = sqlx::query_as(LOOK)
        .bind(table.as_str())
        .bind(table.as_str())
        .bind(table.as_str())
        .fetch_all(connection)
        .await?;
    let column = |(name, byte_exact, unique, rolls_back)| FoundColumn {
        name,
        byte_exact: byte_exact == 1,
        unique: unique == 1,
        rolls_back: rolls_back == 1,
    };
    Ok(found.into_iter().map(column).collect())
}
