//! How long a statement waits, and until when the server carries it out.

/// What a statement that changes rows begins with: how long it waits for a row that another transaction has locked,
/// and its deadline on the server's clock. The deadline is $1, in milliseconds since 1970.
///
/// A lock on the table is waited for before the first expression is evaluated, so the deadline is looked at after
/// that wait: a statement whose caller has given up changes nothing, and fails with 2201G, which nothing else here
/// fails with.
///
/// [`DURABLE`] makes a statement that finds only duplicates wait for the standby as well.
const BOUNDS: &str = "\
bounds AS MATERIALIZED (
  SELECT set_config('lock_timeout', '{patience}', true) AS patience,
    {durable},
    width_bucket(
      0::float8, 0::float8, 1::float8,
      CASE WHEN clock_timestamp() < to_timestamp($1::bigint / 1000.0) THEN 1 ELSE 0 END
    ) AS is_in_time{planned anew}
)";

/// Makes the server plan a prepared statement anew each time that it is executed.
///
/// A plan for any parameters would be kept after a few executions, and one that was made for a nearly empty table reads
/// all of the table for each batch when that has grown. The server keeps it only if it looks cheaper than the plans for
/// the given parameters (<https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES>). This looks
/// very expensive if the parameter is not known, and is nothing if it is.
const PLANNED_ANEW: &str = ",
    CASE WHEN {known} IS NULL THEN (SELECT count(*) FROM generate_series(1, 1000000000)) END AS planned_anew";

/// Makes the statement's transaction wait for the synchronous standby, if one is configured, even if it changes no row.
///
/// After a crash of the primary, a mark whose commit was waiting for the standby is visible, although the standby may
/// not have it. A duplicate that was answered from it would be lost by a failover. Only a transaction that writes to the
/// WAL waits for the standby at its commit, so this writes a message, which changes nothing
/// (<https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION>).
const DURABLE: &str = "\
CASE WHEN current_setting('synchronous_standby_names') <> ''
      THEN pg_logical_emit_message(true, 'ferro-idem', '')
    END AS durable";

/// For statements of one event. Shorter than a caller waits for its answer, so that the server gives up first.
const PATIENCE_OF_ONE: &str = "800ms";

/// For statements of several events: none of them may delay the others for long.
const PATIENCE_OF_MANY: &str = "250ms";

/// The statement with its bounds, [`PLANNED_ANEW`] and [`DURABLE`] written out.
pub(crate) fn bounded(statement: &str) -> String {
    let planned_anew = |known| PLANNED_ANEW.replace("{known}", known);
    let bounds =
        |patience, planned: &str| BOUNDS.replace("{patience}", patience).replace("{planned anew}", planned);
    let of_one = bounds(PATIENCE_OF_ONE, "");
    let of_many = bounds(PATIENCE_OF_MANY, &planned_anew("$1::bigint"));
    let statement = statement.replace("{bounds of one}", &of_one).replace("{bounds of many}", &of_many);
    statement.replace("{planned anew by ids}", &planned_anew("$1::text[]")).replace("{durable}", DURABLE)
}
