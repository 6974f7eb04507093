//! The columns that a table has, whether they tell ids apart, and its keys and engine.

use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::name::TableName;

/// BINARY(n) filled its values up with zeros, which no id holds.
pub(crate) const COMPARE_BYTES: &str = "\
ALTER TABLE stripe_processed_events MODIFY event_id VARBINARY(255) NOT NULL;
UPDATE stripe_processed_events SET event_id = TRIM(TRAILING x'00' FROM event_id) WHERE RIGHT(event_id, 1) = x'00';";

/// Bytes, and as many as an id can have: outside of strict mode the server cuts what is too long.
///
/// An insert into a table without a key goes through each time, so the keys are looked at here. So is the
/// engine: one without transactions takes a rollback with no more than a warning.
pub(crate) const LOOK: &str = "\
SELECT CAST(column_name AS CHAR),
CAST((data_type = 'varbinary' OR data_type LIKE '%blob') AND character_maximum_length >= 255 AS SIGNED),
CAST(column_name IN (SELECT MIN(column_name) FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0
GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(sub_part) IS NULL) AS SIGNED),
CAST(EXISTS (SELECT 1 FROM information_schema.tables AS t
JOIN information_schema.engines AS e ON e.engine = t.engine AND e.transactions = 'YES'
WHERE t.table_schema = DATABASE() AND t.table_name = ?) AS SIGNED)
FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?
LIMIT 4096";

/// A row of [`LOOK`].
pub(crate) fn column((name, byte_exact, unique, rolls_back): (String, i64, i64, i64)) -> FoundColumn {
    FoundColumn { name, byte_exact: byte_exact == 1, unique: unique == 1, rolls_back: rolls_back == 1 }
}

pub(crate) const TRAPS: &str = "\
SELECT CAST(@@SESSION.autocommit AS SIGNED),
  CAST(@@SESSION.completion_type <> 'NO_CHAIN' AS SIGNED),
  CAST(@@SESSION.unique_checks AS SIGNED),
  CAST(@@SESSION.sql_select_limit < 4096 AS SIGNED),
  CAST(EXISTS (
    SELECT 1 FROM information_schema.triggers
    WHERE event_object_schema = DATABASE() AND event_object_table = ?
  ) OR EXISTS (
    SELECT 1 FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0
    GROUP BY index_name
    HAVING COUNT(*) > 1 OR MAX(column_name) <> 'event_id'
  ) AS SIGNED),
  (SELECT CAST(MAX(table_type) AS CHAR) FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = ?),
  CAST(EXISTS (
    SELECT 1 FROM information_schema.triggers
    WHERE event_object_schema = DATABASE() AND event_object_table = ? AND action_timing = 'BEFORE'
      AND LOWER(action_statement) REGEXP 'new[[:space:]]*[.][[:space:]]*`?owner`?([^a-z0-9_$]|$)'
  ) AS SIGNED)";

/// The row of [`TRAPS`].
pub(crate) type FoundTraps = (i64, i64, i64, i64, i64, Option<String>, i64);

/// `is_temporary`: a temporary table hides the one that the catalogue describes.
pub(crate) fn traps(table: &TableName, found: FoundTraps, is_temporary: bool) -> Traps {
    let (autocommit, is_chained, unique_checks, is_limited, verifies, kind, changes_owner) = found;
    let settings = [
        (autocommit == 0, "`autocommit = 0`, so that no mark would be committed", "leave it on"),
        (is_chained == 1, "a `completion_type`, so that a mark may not be committed", "leave it at NO_CHAIN"),
        (unique_checks == 0, "`unique_checks = 0`, so that an event may be first twice", "leave it on"),
        (is_limited == 1, "a `sql_select_limit`, which hides rows", "leave it at its default"),
    ];
    let mut refusals: Vec<String> = settings
        .into_iter()
        .filter(|(is_set, ..)| *is_set)
        .map(|(_, setting, advice)| {
            format!(
                "the connection has {setting}: {advice} (see the pool's `after_connect` and the server's `init_connect`)"
            )
        })
        .collect();
    if kind.as_deref() == Some("VIEW") {
        refusals.push(format!("`{table}` is a view, not a table: name the table itself"));
    } else if is_temporary {
        refusals.push(format!(
            "the table `{table}` is temporary, so each connection has one of its own: create a permanent one"
        ));
    }
    // The statement for many events does not tell an inserted row from one that was there.
    if changes_owner == 1 {
        refusals.push(format!(
            "a BEFORE trigger of the table `{table}` uses `NEW.owner`: a mark whose owner it changed would be taken for \
             another delivery's, so leave the column to the log"
        ));
    }
    Traps { verifies: verifies == 1, refusals, ..Traps::default() }
}

/// Shows how the table was created, in the second column.
pub(crate) const SHOW: &str = "SHOW CREATE TABLE stripe_processed_events";

/// Whether the answer to [`SHOW`] is that of a temporary table.
pub(crate) fn is_temporary(shown: &[u8]) -> bool {
    shown.starts_with(b"CREATE TEMPORARY")
}

/// A statement over the catalogue, for the table's own schema. Its name is safe to format into SQL.
pub(crate) fn in_schema(statement: &str, table: &TableName) -> String {
    match table.schema() {
        Some(schema) => statement.replace("DATABASE()", &format!("'{schema}'")),
        None => statement.to_owned(),
    }
}
