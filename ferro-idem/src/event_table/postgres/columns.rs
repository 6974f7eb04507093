//! The columns that a table has, and whether they tell ids apart.

use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::name::TableName;

pub(crate) const COMPARE_BYTES: &str =
    "ALTER TABLE stripe_processed_events ALTER COLUMN event_id TYPE TEXT COLLATE \"C\";";

/// Text under a deterministic collation, and of no length that is too short: what is too long is refused,
/// but spaces at its end are cut off. CHAR, CITEXT and NAME are other types
/// (<https://www.postgresql.org/docs/current/datatype-character.html>). A domain is what it is made of; 4 of
/// a modifier are its header.
///
/// A key that `ON CONFLICT (event_id)` finds: immediate, of this column alone, and of every row. An insert gives way
/// to each unique index of the column, so none may have another collation.
pub(crate) const LOOK: &str = "\
WITH RECURSIVE found (name, is_deterministic, is_unique, type, modifier) AS (
  SELECT attname::text,
    COALESCE(collisdeterministic, true) AND NOT EXISTS (
      SELECT FROM pg_index JOIN pg_collation AS c ON c.oid = indcollation[0]
      WHERE indrelid = attrelid AND indisunique AND indkey[0] = attnum AND NOT c.collisdeterministic
    ),
    EXISTS (
      SELECT FROM pg_index
      WHERE indrelid = attrelid AND indisunique AND indimmediate AND indisvalid
        AND indpred IS NULL AND indexprs IS NULL AND indnkeyatts = 1 AND indkey[0] = attnum
    ),
    atttypid, atttypmod
  FROM pg_attribute
  LEFT JOIN pg_collation ON pg_collation.oid = attcollation
  WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT name, is_deterministic, is_unique, typbasetype, typtypmod FROM found
  JOIN pg_type ON pg_type.oid = type AND typtype = 'd'
)
SELECT name,
  is_deterministic AND (type = 'text'::regtype
    OR type = 'varchar'::regtype AND (modifier = -1 OR modifier >= 4 + 255)),
  is_unique
FROM found JOIN pg_type ON pg_type.oid = type AND typtype <> 'd'";

/// A row of [`LOOK`].
pub(crate) fn column((name, byte_exact, unique): (String, bool, bool)) -> FoundColumn {
    FoundColumn { name, byte_exact, unique, rolls_back: true }
}

/// Triggers of users that fire for a row of the table or of a partition, rules, row-level security that applies to
/// this user, tables that inherit, and settings.
pub(crate) const TRAPS: &str = "\
WITH RECURSIVE parts (oid) AS (
  SELECT to_regclass($1)::oid
  UNION SELECT inhrelid FROM pg_inherits JOIN parts ON inhparent = parts.oid
)
SELECT relkind::text, relpersistence::text,
  relrowsecurity AND row_security_active(oid)
    OR EXISTS (
      SELECT FROM pg_trigger
      WHERE tgrelid IN (SELECT oid FROM parts) AND NOT tgisinternal AND tgenabled <> 'D'
    ),
  relkind = 'r' AND (SELECT count(*) > 1 FROM parts),
  ARRAY(SELECT format('DROP RULE %I ON %s;', rulename, $1)
    FROM pg_rewrite WHERE ev_class = tables.oid AND ev_type <> '1'),
  current_setting('synchronous_commit')
FROM pg_class AS tables
WHERE oid = to_regclass($1)";

/// The row of [`TRAPS`].
pub(crate) type FoundTraps = (String, String, bool, bool, Vec<String>, String);

pub(crate) fn traps(table: &TableName, found: Option<FoundTraps>) -> Traps {
    let Some((kind, persistence, verifies, has_children, rules, synchronous_commit)) = found else {
        return Traps::default();
    };
    let mut refusals = Vec::new();
    if !matches!(&*kind, "r" | "p") {
        refusals.push(format!(
            "`{table}` is not a table but a view, a foreign table or a sequence, which does not tell whether an \
             event is new: name the table itself"
        ));
    } else if !rules.is_empty() {
        refusals.push(format!(
            "the table `{table}` has rules, which change what a statement does: drop them with\n{}",
            rules.join("\n")
        ));
    }
    if has_children {
        refusals.push(format!(
            "other tables inherit from `{table}`, and its key does not cover their rows: take them off with `ALTER \
             TABLE .. NO INHERIT`, or make it PARTITION BY HASH (event_id)"
        ));
    }
    match &*persistence {
        "u" => refusals.push(format!(
            "the table `{table}` is UNLOGGED, so a crash empties it and a failover has none of it: keep it with\n{}",
            table.in_statement("ALTER TABLE stripe_processed_events SET LOGGED;")
        )),
        "t" => refusals.push(format!(
            "the table `{table}` is temporary, so each connection has one of its own: create a permanent one"
        )),
        _ => {}
    }
    let mut weaknesses = Vec::new();
    if synchronous_commit == "off" {
        weaknesses.push(
            "the session has `synchronous_commit` = off, so that a crash of the server loses marks that were \
             acknowledged: leave it on for the log's connections"
                .to_owned(),
        );
    }
    Traps { verifies, refusals, weaknesses, ..Traps::default() }
}
