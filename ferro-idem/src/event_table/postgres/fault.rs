//! What PostgreSQL's codes mean (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use super::statements::SCHEMA;
use crate::event_table::fault::{Cause, Fault};
use crate::event_table::name::TableName;

/// What [`BOUNDS`](super::statements) fails with: "invalid argument for width bucket function".
pub(crate) const TOO_LATE: &str = "2201G";

pub(crate) const POOLER: &str = "a pooler in transaction mode, such as PgBouncer, stands between, and takes prepared \
    statements apart: use `PostgresLog::behind_transaction_pooler()`, or the pooler's session mode";

const LOST_OR_POOLER: &str = "the connection to the database was lost, see that the server runs. Or a pooler in \
    transaction mode, such as PgBouncer, takes prepared statements apart: see \
    `PostgresLog::behind_transaction_pooler()`";

/// The meaning of a SQLSTATE. `message` is only looked at to tell two meanings of one code apart.
pub(crate) fn explain(code: &str, message: &str, table: &TableName) -> Fault {
    match code {
        "55P03" => Fault::locked(),
        TOO_LATE => Fault::too_late(),
        // A `statement_timeout`, or an administrator's cancel request.
        "57014" => Fault::cancelled(),
        // Serialization failure, deadlock.
        "40001" | "40P01" | "40000" | "40002" => Fault::passing(
            "another transaction was in the way: shorten the application's own transactions on these rows",
        ),
        "40003" => Fault::unanswered("the server does not say whether it was done, see its log"),
        "57P01" | "57P02" | "57P05" => {
            Fault::unanswered("the server is shutting down, or ended the connection: see its log")
        }
        "57P03" => Fault::passing("the server is starting up or shutting down"),
        "53300" => Fault::passing(
            "the server has no connection left: lower the pools' `max_connections`, or raise the server's",
        ),
        "53100" => {
            Fault::permanent("the server's disk is full: make room, and the next delivery goes through")
        }
        "53200" => Fault::permanent("the server is out of memory"),
        "25P02" => Fault::rolled_back(),
        "25006" => Fault::read_only(),
        "28000" | "28P01" => {
            Fault::permanent("the server refused the user or the password: check the pool's options")
        }
        "3D000" => Fault::permanent("there is no such database: create it, or name another one in the URL"),
        "42501" => Fault::no_rights(format!(
            "the database user may not use the table (if it has row-level security, CREATE POLICY for the user as \
             well): GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO it"
        )),
        // No unique constraint for the conflict.
        "42P10" => Fault::of_table(table, SCHEMA),
        // No schema, no table, no column.
        "3F000" | "42P01" | "42703" => Fault::of_missing(table, SCHEMA),
        // A column that is written has a type of the application's own.
        "42804" if message.contains("but expression is of type") => Fault::refused_values(),
        // No operator compares `received_at` with a time.
        "42883" | "42804" => Fault::unreadable_time(),
        "25P03" => Fault::passing(
            "the transaction was idle for longer than `idle_in_transaction_session_timeout`: let its body do less \
             between statements",
        ),
        // A prepared statement from before a migration.
        "0A000" => Fault::passing("the table was changed while the application ran"),
        // A prepared statement that exists already, that does not exist, or that is another one.
        "42P05" => Fault { cause: Cause::Pooler, ..Fault::permanent(POOLER) },
        "26000" => Fault::passing(POOLER),
        // That as well, and PgBouncer's own word for a server that is gone.
        "08P01" => Fault::unanswered(LOST_OR_POOLER),
        other if other.starts_with("08") => {
            Fault::unanswered("the connection to the database was lost, see that the server runs")
        }
        // Data exceptions and constraints.
        other if other.starts_with("22") || other.starts_with("23") => Fault::refused_values(),
        _ => Fault::unknown("PostgreSQL"),
    }
}
