use std::borrow::Cow;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

use super::*;
use crate::retry::FaultKind;
use crate::sql::dialect::Dialect;
use crate::sql::table::TableName;

/// A refusal with a code, by no server.
#[derive(Debug)]
struct Refusal(&'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}

impl DatabaseError for Refusal {
    fn message(&self) -> &'static str {
        "Key (card)=(4242) exists"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn refused(code: &'static str) -> sqlx::Error {
    sqlx::Error::Database(Box::new(Refusal(code)))
}

/// The kind, whether it may be about one event of many, and words of the advice.
#[track_caller]
fn means<D: Dialect>(error: &sqlx::Error, kind: FaultKind, is_about_one_event: bool, words: &str) {
    let fault = D::fault_of(error, &TableName::recommended(D::QUOTE));
    assert_eq!((fault.kind, fault.is_about_one_event), (kind, is_about_one_event), "{error:?}");
    assert!(fault.advice.contains(words), "{error:?}: {}", fault.advice);
}

#[cfg(feature = "sqlite")]
#[test]
fn errors_of_the_driver_are_retried_if_that_can_help() {
    use FaultKind::{Passing, Permanent, Unanswered};
    let lost = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    for (error, kind, words) in [
        (sqlx::Error::PoolTimedOut, Permanent, "raise the pool's `max_connections`"),
        (sqlx::Error::PoolClosed, Permanent, "the pool is closed"),
        (sqlx::Error::BeginFailed, Passing, "did not begin"),
        (sqlx::Error::Io(lost()), Unanswered, "was lost"),
        (sqlx::Error::Protocol(String::new()), Unanswered, "was lost"),
        (sqlx::Error::WorkerCrashed, Unanswered, "was lost"),
        (sqlx::Error::Tls("".into()), Permanent, "check the pool's options"),
        (sqlx::Error::Configuration("".into()), Permanent, "check the pool's options"),
    ] {
        means::<sqlx::Sqlite>(&error, kind, false, words);
    }
    // What is not known may be one event's.
    means::<sqlx::Sqlite>(&sqlx::Error::RowNotFound, Permanent, true, "does not keep the event's row");
    means::<sqlx::Sqlite>(&RowChanged.into(), Permanent, true, "does not keep the event's row");
}

#[cfg(feature = "postgres")]
#[test]
fn each_code_of_postgresql_says_what_to_do() {
    use FaultKind::{Passing, Permanent, Unanswered};
    for (codes, kind, is_about_one_event, words) in [
        (&["55P03"][..], Passing, true, "holds the event for long"),
        (&["2201G"], Passing, false, "waited for longer than its caller"),
        (&["57014"], Passing, true, "was cancelled"),
        (&["40001", "40P01", "40000", "40002"], Passing, false, "another transaction was in the way"),
        (&["40003"], Unanswered, false, "does not say whether it was done"),
        (&["57P01", "57P02", "57P05"], Unanswered, false, "ended the connection"),
        (&["57P03"], Passing, false, "starting up"),
        (&["53300"], Passing, false, "no connection left"),
        (&["53100"], Permanent, false, "disk is full"),
        (&["53200"], Permanent, false, "out of memory"),
        (&["25P02"], Permanent, false, "rolled the transaction back"),
        (&["25006"], Passing, false, "read-only"),
        (&["28000", "28P01"], Permanent, false, "the user or the password"),
        (&["3D000"], Permanent, false, "no such database"),
        (&["42501"], Permanent, false, "GRANT SELECT"),
        (&["42P01", "42703", "42P10"], Permanent, false, "CREATE TABLE"),
        (&["0A000"], Passing, false, "the table was changed"),
        (&["26000"], Passing, false, "behind_transaction_pooler"),
        (&["42P05"], Permanent, false, "behind_transaction_pooler"),
        (&["08006"], Unanswered, false, "was lost"),
        (&["08P01"], Unanswered, false, "behind_transaction_pooler"),
        (&["22001", "23502"], Permanent, true, "does not take the event"),
        (&["XX000", ""], Permanent, true, "PostgreSQL refused the statement"),
    ] {
        for code in codes {
            means::<sqlx::Postgres>(&refused(code), kind, is_about_one_event, words);
        }
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn each_code_of_sqlite_says_what_to_do() {
    use FaultKind::{Passing, Permanent};
    for (codes, kind, is_about_one_event, words) in [
        (&["1"][..], Permanent, false, "CREATE TABLE"),
        (&["261", "517"], Passing, false, "has to begin again"),
        (&["5", "6", "262"], Permanent, false, "raise `busy_timeout`"),
        (&["8", "1032"], Permanent, false, "read-only"),
        (&["11", "267"], Permanent, false, "damaged"),
        (&["13"], Permanent, false, "the disk is full"),
        (&["14"], Permanent, false, "cannot be opened"),
        (&["18", "19", "20", "1299"], Permanent, true, "does not take the event"),
        (&["26"], Permanent, false, "not a SQLite database"),
        (&["21", "no number"], Permanent, true, "SQLite refused the statement"),
    ] {
        for code in codes {
            means::<sqlx::Sqlite>(&refused(code), kind, is_about_one_event, words);
        }
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_refused_commit_quotes_no_values_of_the_body() {
    for (code, words) in [
        ("23505", "refuses what the body wrote"),
        ("55P03", "holds the event for long"),
        ("53100", "disk is full"),
    ] {
        let fault = sqlx::Postgres::fault_of(&refused(code), &TableName::recommended('"'));
        let error = fault.of_commit("commit", refused(code));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(words), "{error}");
        assert!(source.contains(code) && !source.contains("4242"), "{source}");
    }
}
