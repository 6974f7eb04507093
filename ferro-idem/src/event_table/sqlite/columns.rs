//! The columns that a table has, and whether they tell ids apart.

use super::statements::SCHEMA;
use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::name::TableName;

/// The affinity is TEXT or none, by the rules for declared types
/// (<https://www.sqlite.org/datatype3.html#determination_of_column_affinity>): any other reads `1e3` and
/// `1000` as one number. And no unique index compares otherwise than by bytes: an insert gives way to
/// whichever it meets.
///
/// A key that `ON CONFLICT (event_id)` finds: of this column alone, and of every row.
pub(crate) const LOOK: &str = "\
SELECT name,
instr(upper(type), 'INT') = 0 AND (type = '' OR instr(upper(type), 'CHAR') > 0
OR instr(upper(type), 'CLOB') > 0 OR instr(upper(type), 'TEXT') > 0 OR instr(upper(type), 'BLOB') > 0)
AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS x
WHERE i.\"unique\" AND NOT i.partial AND x.key AND x.name = c.name AND x.coll <> 'BINARY'),
EXISTS (SELECT 1 FROM pragma_index_list(?1) AS i WHERE i.\"unique\" AND NOT i.partial
AND (SELECT group_concat(x.cid) FROM pragma_index_xinfo(i.name) AS x WHERE x.key) = CAST(c.cid AS TEXT))
FROM pragma_table_info(?1) AS c";

/// A row of [`LOOK`].
pub(crate) fn column((name, byte_exact, unique): (String, bool, bool)) -> FoundColumn {
    FoundColumn { name, byte_exact, unique, rolls_back: true }
}

/// SQLite cannot change a column, so the rows move to a new table.
pub(crate) fn moved_to_schema(found: &[FoundColumn]) -> String {
    let is_found = |name: &&str| found.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let of_schema = SCHEMA.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let columns = of_schema.filter(is_found).collect::<Vec<_>>().join(", ");
    format!(
        "\
BEGIN IMMEDIATE;\n
ALTER TABLE stripe_processed_events RENAME TO ids_taken_for_one;\n
{SCHEMA}\n
INSERT INTO stripe_processed_events ({columns}) SELECT {columns} FROM ids_taken_for_one;\n
DROP TABLE ids_taken_for_one;\n
COMMIT;"
    )
}

/// Triggers, other unique keys, and columns with an ON CONFLICT clause of their own: each can keep a row out without
/// an error.
pub(crate) const TRAPS: &str = "\
SELECT (SELECT type FROM sqlite_master WHERE lower(name) = lower(?1) AND type IN ('table', 'view')),
  EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?1))
    OR EXISTS (SELECT 1 FROM sqlite_temp_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?1))
    OR EXISTS (SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?1) AND upper(sql) LIKE '%CONFLICT%')
    OR (SELECT count(*) FROM pragma_index_list(?1) WHERE \"unique\") > 1,
  EXISTS (SELECT 1 FROM sqlite_temp_master WHERE lower(name) = lower(?1) AND type IN ('table', 'view')),
  COALESCE((SELECT file FROM pragma_database_list WHERE lower(name) = lower(?2)), '') <> ''";

/// The row of [`TRAPS`].
pub(crate) type FoundTraps = (Option<String>, bool, bool, bool);

/// The schema of the table, for [`TRAPS`] and [`pragma`].
pub(crate) fn schema(table: &TableName) -> &str {
    table.schema().unwrap_or("main")
}

/// Reads a setting of the table's database: `journal_mode` or `synchronous`.
pub(crate) fn pragma(table: &TableName, name: &str) -> String {
    format!("PRAGMA \"{}\".{name}", schema(table))
}

pub(crate) fn traps(table: &TableName, found: FoundTraps, journal: &str, synchronous: i64) -> Traps {
    let (kind, verifies, is_hidden, is_on_disk) = found;
    let schema = schema(table);
    let mut refusals = Vec::new();
    let mut weaknesses = Vec::new();
    if schema.eq_ignore_ascii_case("temp") || (table.schema().is_none() && is_hidden) {
        refusals.push(format!(
            "the table `{table}` is temporary, so each connection has one of its own: create a permanent one"
        ));
    } else if kind.as_deref() == Some("view") {
        refusals.push(format!("`{table}` is a view, not a table: name the table itself"));
    }
    if journal.eq_ignore_ascii_case("off") {
        refusals.push("`journal_mode` is OFF, so that nothing can be rolled back: use WAL".to_owned());
    } else if is_on_disk && journal.eq_ignore_ascii_case("memory") {
        weaknesses
            .push("`journal_mode` is MEMORY, so that a crash may leave a damaged file: use WAL".to_owned());
    }
    if is_on_disk && synchronous < 2 {
        weaknesses.push(
            "`synchronous` is OFF or NORMAL, so that a power cut loses marks that were acknowledged: use FULL"
                .to_owned(),
        );
    }
    Traps { verifies, refusals, weaknesses, ..Traps::default() }
}

/// A statement over the catalogue, for the table's own schema. Its name is safe to format into SQL.
pub(crate) fn in_schema(statement: &str, table: &TableName) -> String {
    let Some(schema) = table.schema() else { return statement.to_owned() };
    statement
        .replace("pragma_index_list(?1)", &format!("pragma_index_list(?1, '{schema}')"))
        .replace("pragma_table_info(?1)", &format!("pragma_table_info(?1, '{schema}')"))
        .replace("pragma_index_xinfo(i.name)", &format!("pragma_index_xinfo(i.name, '{schema}')"))
        .replace("FROM sqlite_master", &format!("FROM \"{schema}\".sqlite_master"))
}
