//! What an error of the driver means, in words that say what to do.

use std::borrow::Cow;

use sqlx::error::{BoxDynError, DatabaseError};

use super::dialect::Dialect;
use super::table::TableName;
use crate::error::Error;
use crate::retry::FaultKind;

/// What a database's refusal means.
#[derive(Debug)]
pub struct Fault {
    pub(super) kind: FaultKind,
    pub(super) advice: Cow<'static, str>,
    /// Of several events in the statement, it may be about one: the others could go through without it.
    pub(super) is_about_one_event: bool,
}

impl Fault {
    /// It may be carried out the next time.
    pub(super) fn passing(advice: &'static str) -> Self {
        Self { kind: FaultKind::Passing, advice: advice.into(), is_about_one_event: false }
    }

    /// The statement may have been carried out.
    pub(super) fn unanswered(advice: &'static str) -> Self {
        Self { kind: FaultKind::Unanswered, advice: advice.into(), is_about_one_event: false }
    }

    /// Another transaction has the row of one event.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(super) fn locked() -> Self {
        let advice = "a transaction of the application holds the event for long: shorten it";
        Self { kind: FaultKind::Passing, advice: advice.into(), is_about_one_event: true }
    }

    /// The server gave the statement up, perhaps because one event kept it waiting.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(super) fn cancelled() -> Self {
        let advice = "the statement was cancelled, by a time limit or by somebody: raise the server's limit for \
                      statements, or shorten the application's own transactions on these rows";
        Self { kind: FaultKind::Passing, advice: advice.into(), is_about_one_event: true }
    }

    /// The table does not take what is written of one event.
    pub(super) fn refused_values() -> Self {
        let advice = "the table does not take the event: see to its columns' types and constraints";
        Self { kind: FaultKind::Permanent, advice: advice.into(), is_about_one_event: true }
    }

    /// What the body wrote does not hold together.
    fn refused_effects() -> Self {
        Self::permanent(
            "a constraint that is checked at the commit refuses what the body wrote: see to the body, or to \
             the constraint",
        )
    }

    /// The transaction is over before its end.
    pub(super) fn rolled_back() -> Self {
        Self::permanent(
            "the database rolled the transaction back because a statement in the body failed: return \
             the body's errors, so that the sender delivers again",
        )
    }

    /// An answer that did not come.
    pub(super) fn late() -> Self {
        Self::unanswered(
            "the database did not answer in time: see whether it is overloaded, or whether a transaction \
             of the application holds the event",
        )
    }

    /// Nothing was asked.
    pub(super) fn no_connection() -> Self {
        Self::passing(
            "no connection became free or answered in time: see that the server runs and can be reached, \
             raise the pool's `max_connections`, or hold connections for a shorter time",
        )
    }

    /// Somebody has to do something about it.
    pub(super) fn permanent(advice: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: FaultKind::Permanent, advice: advice.into(), is_about_one_event: false }
    }

    /// The table is not one that a log can be kept in.
    pub(super) fn of_table<D: Dialect>(table: &TableName) -> Self {
        Self::permanent(format!(
            "the table `{table}` does not fit: `event_id` needs a PRIMARY KEY or UNIQUE constraint, as in\n{}",
            table.in_statement::<D>(D::SCHEMA)
        ))
    }

    /// As what a caller gets.
    pub(super) fn of(self, operation: &'static str, source: impl Into<BoxDynError>) -> Error {
        Error::Store { operation: operation.into(), advice: self.advice, source: source.into() }
    }

    /// As what the caller of a refused commit gets.
    ///
    /// It may be about rows that the body wrote, and the database quotes them: a key that is there already,
    /// what a trigger raises. So the source has the code and the schema's names, and nothing else.
    pub(super) fn of_commit(self, operation: &'static str, error: sqlx::Error) -> Error {
        let is_of_values = self.is_about_one_event && self.kind == FaultKind::Permanent;
        let fault = if is_of_values { Self::refused_effects() } else { self };
        match error {
            sqlx::Error::Database(refusal) => fault.of(operation, RefusedCommit::new(&*refusal)),
            other => fault.of(operation, other),
        }
    }

    /// For a code that says nothing which its message does not say better. A trigger may have refused one
    /// event of many.
    pub(super) fn unknown<D: Dialect>() -> Self {
        let advice = format!(
            "{} refused the statement, its own message says why; answer with an error so that the sender \
             delivers again",
            D::NAME
        );
        Self { is_about_one_event: true, ..Self::permanent(advice) }
    }
}

/// Nothing that a body wrote.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database refused the commit with {code}{by}: its message may quote what was written, see its log"
)]
struct RefusedCommit {
    code: String,
    /// The constraint and its table, where the driver tells them apart from the message.
    by: String,
}

impl RefusedCommit {
    fn new(refusal: &dyn DatabaseError) -> Self {
        let by = match (refusal.constraint(), refusal.table()) {
            (Some(constraint), Some(table)) => format!(", by `{constraint}` of `{table}`"),
            _ => String::new(),
        };
        Self { code: refusal.code().unwrap_or_default().into_owned(), by }
    }
}

pub(super) fn fault_of<D: Dialect>(error: &sqlx::Error, table: &TableName) -> Fault {
    match error {
        sqlx::Error::Database(refusal) => D::explain(refusal.as_ref(), table),
        // Nothing was asked, and the time for it is over.
        sqlx::Error::PoolTimedOut => Fault::permanent(
            "no connection became free in time: raise the pool's `max_connections`, or hold \
             connections for a shorter time",
        ),
        sqlx::Error::PoolClosed => Fault::permanent("the pool is closed: the application is shutting down"),
        sqlx::Error::BeginFailed => Fault::passing("the database did not begin a transaction"),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Fault::unanswered(
            "the connection to the database was lost, see that the server runs and can be reached",
        ),
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => {
            Fault::permanent("no connection can be made: see to the pool's options")
        }
        _ => Fault::unknown::<D>(),
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
