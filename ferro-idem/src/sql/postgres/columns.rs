//! The columns that a table has, and whether they tell ids apart.

use sqlx::postgres::PgConnection;

use crate::sql::columns::{FoundColumn, Traps};
use crate::sql::table::TableName;

pub(super) const COMPARE_BYTES: &str =
    "ALTER TABLE stripe_processed_events ALTER COLUMN event_id TYPE TEXT COLLATE \"C\";";

/// Text under a deterministic collation, and of no length that is too short: what is too long is refused,
/// but spaces at its end are cut off. CHAR, CITEXT and NAME are other types
/// (<https://www.postgresql.org/docs/current/datatype-character.html>). A domain is what it is made of; 4 of
/// a modifier are its header.
const LOOK: &str = "\
WITH RECURSIVE found (name, is_deterministic, type, modifier) AS (
SELECT attname::text, COALESCE(collisdeterministic, true), atttypid, atttypmod FROM pg_attribute
LEFT JOIN pg_collation ON pg_collation.oid = attcollation
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT name, is_deterministic, typbasetype, typtypmod FROM found
JOIN pg_type ON pg_type.oid = type AND typtype = 'd')
SELECT name, is_deterministic AND (type = 'text'::regtype
OR type = 'varchar'::regtype AND (modifier = -1 OR modifier >= 4 + 255))
FROM found JOIN pg_type ON pg_type.oid = type AND typtype <> 'd'";

pub(super) async fn of(
    connection: &mut PgConnection,
    table: &TableName,
) -> Result<Vec<FoundColumn>, sqlx::Error> {
    let found: Vec<(String, bool)> = sqlx::query_as(LOOK).bind(table.quoted()).fetch_all(connection).await?;
    let column = |(name, byte_exact)| FoundColumn { name, byte_exact, unique: true, rolls_back: true };
    Ok(found.into_iter().map(column).collect())
}

/// Triggers of users that fire for a row, rules, and row-level security that applies to this user.
const TRAPS: &str = "\
SELECT relkind::text, relpersistence::text,
  relrowsecurity AND row_security_active(oid)
    OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = tables.oid AND ev_type <> '1')
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tables.oid AND NOT tgisinternal AND tgenabled <> 'D')
FROM pg_class AS tables
WHERE oid = to_regclass($1)";

pub(super) async fn traps(connection: &mut PgConnection, table: &TableName) -> Result<Traps, sqlx::Error> {
    let found: Option<(String, String, bool)> =
        sqlx::query_as(TRAPS).bind(table.quoted()).fetch_optional(connection).await?;
    let Some((kind, persistence, verifies)) = found else { return Ok(Traps::default()) };
    let mut refusals = Vec::new();
    if !matches!(&*kind, "r" | "p") {
        refusals.push(format!(
            "`{table}` is not a table but a view, a foreign table or a sequence, which does not tell whether an \
             event is new: name the table itself"
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
    Ok(Traps { verifies, refusals })
}
