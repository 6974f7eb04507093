//! What SQLite's refusals mean, in words that say what to do.

use std::borrow::Cow;

use super::{Columns, SqliteLog};
use crate::error::Error;
use crate::sql::table::TableName;

/// Decides by result code (<https://www.sqlite.org/rescode.html>), never by message.
pub(super) fn explain(
    operation: impl Into<Cow<'static, str>>,
    table: &TableName,
    error: sqlx::Error,
) -> Error {
    let advice: Cow<'static, str> = match &error {
        sqlx::Error::PoolTimedOut => {
            "no connection became free in time: raise the pool's `max_connections`, or hold \
             connections for a shorter time"
                .into()
        }
        sqlx::Error::PoolClosed => "the pool is closed: the application is shutting down".into(),
        sqlx::Error::Database(database) => match primary_code(database.as_ref()) {
            Some(1) => format!(
                "the table `{table}` does not fit: `event_id` needs a PRIMARY KEY or UNIQUE constraint, \
                 as in\n{}",
                table.in_statement(SqliteLog::SCHEMA)
            )
            .into(),
            Some(5 | 6) => "another connection holds the write lock for longer than the busy timeout: \
                 shorten its transaction, or raise `busy_timeout`"
                .into(),
            Some(8) => "the database is read-only: let this process write to the file and to the folder \
                 around it, where SQLite keeps its log"
                .into(),
            Some(11) => "the database file is damaged: restore it from a backup".into(),
            Some(13) => "the disk is full: make room, and the next delivery goes through".into(),
            Some(14) => "the file cannot be opened: the folder has to exist, and this process has to be \
                 allowed to write there"
                .into(),
            Some(26) => "the file is not a SQLite database: name another one, it was left untouched".into(),
            _ => UNKNOWN.into(),
        },
        _ => UNKNOWN.into(),
    };
    Error::Store { operation: operation.into(), advice, source: error.into() }
}

const UNKNOWN: &str = "SQLite failed, answer with an error so that the sender delivers again";

/// Whether a lock was held by somebody else.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(primary_code);
    matches!(code, Some(5 | 6))
}

/// The low byte: extended codes keep the primary one there.
fn primary_code(error: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}

/// Which table this is, by the columns that it has.
pub(super) fn columns_of(table: &TableName, present: &[String]) -> Result<Columns, Error> {
    let has = |column: &str| present.iter().any(|name| name.eq_ignore_ascii_case(column));
    let schema = || table.in_statement(SqliteLog::SCHEMA);
    let advice = if present.is_empty() {
        format!("there is no table `{table}`, create it with\n{}", schema())
    } else if !has("event_id") {
        format!("the table `{table}` has no column `event_id`: use another table, made with\n{}", schema())
    } else if !has("event_type") {
        let add = "ALTER TABLE stripe_processed_events ADD COLUMN event_type TEXT NOT NULL DEFAULT '';";
        format!("the table `{table}` has no column `event_type`, add it with\n{}", table.in_statement(add))
    } else if has("owner") {
        return Ok(Columns::Full);
    } else {
        return Ok(Columns::Plain);
    };
    Err(Error::Store {
        operation: "use the table of processed events".into(),
        advice: advice.into(),
        source: sqlx::Error::ColumnNotFound("event_id, event_type".into()).into(),
    })
}

/// The columns of a claim, or the statements that add those that are missing.
pub(super) fn claim_columns_of(table: &TableName, present: &[String]) -> Result<(), Error> {
    columns_of(table, present)?;
    let is_missing = |statement: &&str| {
        let column = statement.split_whitespace().nth(5);
        !present.iter().any(|name| column.is_some_and(|column| name.eq_ignore_ascii_case(column)))
    };
    let missing: Vec<&str> = SqliteLog::UPGRADE.lines().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Store {
        operation: "claim the event".into(),
        advice: format!(
            "the table `{table}` lacks columns that a claim needs, add them with\n{}",
            table.in_statement(&missing.join("\n"))
        )
        .into(),
        source: sqlx::Error::ColumnNotFound("state, owner, fence, lease_until, updated_at".into()).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(present: &[&str]) -> Result<Columns, String> {
        let present: Vec<String> = present.iter().map(|&name| name.to_owned()).collect();
        columns_of(&TableName::default(), &present).map_err(|error| error.to_string())
    }

    #[test]
    fn the_plain_table_and_the_full_one_are_told_apart() {
        assert_eq!(columns(&["event_id", "event_type", "received_at"]), Ok(Columns::Plain));
        assert_eq!(columns(&["EVENT_ID", "Event_Type", "OWNER"]), Ok(Columns::Full));
    }

    #[test]
    fn only_the_missing_columns_of_a_claim_are_added() {
        let present = ["event_id", "event_type", "state", "owner", "fence"].map(str::to_owned);
        let error = claim_columns_of(&TableName::default(), &present).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "add them with\n\
                 ALTER TABLE \"stripe_processed_events\" ADD COLUMN lease_until INTEGER;\n\
                 ALTER TABLE \"stripe_processed_events\" ADD COLUMN updated_at TEXT;"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_missing_column_is_answered_with_the_statement_that_adds_it() {
        let error = columns(&["event_id", "received_at"]).unwrap_err();
        assert!(
            error.ends_with(
                "ALTER TABLE \"stripe_processed_events\" ADD COLUMN event_type TEXT NOT NULL DEFAULT '';"
            ),
            "{error}"
        );
    }
}
