//! What an error of the database means for a request, with advice how to fix it.

use std::borrow::Cow;
use std::error::Error as StdError;

use super::name::TableName;
use crate::error::Error;
use crate::retry::FaultKind;

/// What an error of the database means for the request that it answers.
#[derive(Debug)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) advice: Cow<'static, str>,
    /// The error may be about one event of several in the statement. The others could go through without it.
    pub(crate) is_about_one_event: bool,
    /// The request may have been carried out, although its kind does not say so.
    pub(crate) may_be_carried_out: bool,
    pub(crate) cause: Cause,
}

/// What stands behind an error, if somebody acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Other,
    /// The connection leads to a server that cannot be written. It must not go back into the pool: a new one may lead
    /// to the new primary.
    ReadOnly,
    /// The user lacks a right.
    Rights,
    /// A table is missing, or lacks a column or key.
    Table,
    /// Another client has prepared a statement in what should be a session of our own.
    Pooler,
}

impl Fault {
    /// The statement was not carried out, and may go through the next time.
    pub(crate) fn passing(advice: &'static str) -> Self {
        Self::of_kind(FaultKind::Passing, advice)
    }

    /// The statement may have been carried out.
    pub(crate) fn unanswered(advice: &'static str) -> Self {
        Self::of_kind(FaultKind::Unanswered, advice)
    }

    /// Another transaction has the row of one event.
    pub(crate) fn locked() -> Self {
        let advice = "a transaction of the application holds the event for long: shorten it";
        Self { is_about_one_event: true, ..Self::passing(advice) }
    }

    /// The server gave the statement up, perhaps because one event kept it waiting.
    pub(crate) fn cancelled() -> Self {
        let advice = "the statement was cancelled, by a time limit or by somebody: raise the server's limit for \
                      statements, or shorten the application's own transactions on these rows";
        Self { is_about_one_event: true, ..Self::passing(advice) }
    }

    /// The statement reached its table after its deadline, and changed nothing.
    pub(crate) fn too_late() -> Self {
        Self::passing(
            "the statement waited for longer than its caller, at the server or for a lock on the table: see \
             whether the server is overloaded, or whether a migration holds the table",
        )
    }

    /// A purge cannot tell how old an event is.
    pub(crate) fn unreadable_time() -> Self {
        Self::permanent(
            "the column `received_at` has to be there, and to hold a date and a time (DATETIME, TIMESTAMP or \
             TIMESTAMPTZ) for a purge to tell how old an event is. Change its type, or delete old events yourself",
        )
    }

    /// The table is not there, or lacks a column that a statement names.
    pub(crate) fn of_missing(table: &TableName, schema: &str) -> Self {
        let advice = format!(
            "the table `{table}` does not fit, the source says why: it has to be there, with all of these columns, and \
             `event_id` needs a PRIMARY KEY or UNIQUE constraint, as in\n{}",
            table.in_statement(schema)
        );
        Self { cause: Cause::Table, ..Self::permanent(advice) }
    }

    /// The event is neither new nor there.
    pub(crate) fn swallowed() -> Self {
        let advice = "the table does not keep the event's row: a trigger, a rule, row-level security or another UNIQUE \
                      key keeps it out or changes it. Take that off the table, or give the log a table of its own";
        Self { is_about_one_event: true, ..Self::permanent(advice) }
    }

    /// The event's row was there, and then it was not, several times in a row. Nothing in the table keeps it out.
    pub(crate) fn deleted_meanwhile() -> Self {
        let advice = "the event's row is deleted again and again while it is being read: see what deletes from the \
                      table, and keep events for longer than their sender delivers them again";
        Self { is_about_one_event: true, ..Self::passing(advice) }
    }

    /// The table refuses the values of one event.
    pub(crate) fn refused_values() -> Self {
        let advice = "the table does not take the event: check its columns' types and constraints";
        Self { is_about_one_event: true, ..Self::permanent(advice) }
    }

    /// The body's own writes violate a constraint.
    pub(crate) fn refused_effects() -> Self {
        Self::permanent(
            "a constraint that is checked at the commit refuses what the body wrote: fix the body, or \
             the constraint",
        )
    }

    /// The database has rolled the transaction back before its commit.
    pub(crate) fn rolled_back() -> Self {
        Self::permanent(
            "the database rolled the transaction back because a statement in the body failed: return \
             the body's errors, so that the sender delivers again",
        )
    }

    /// The body has ended its own transaction. `of_mark` says where the mark is.
    pub(crate) fn committed_early(of_mark: &str) -> Self {
        Self::permanent(format!(
            "the transaction was committed before its end, by a statement of the body that commits by itself (COMMIT, in \
             MySQL also TRUNCATE, CREATE, ALTER, DROP, LOCK TABLES): keep such statements out of the body. {of_mark}"
        ))
    }

    /// The answer did not come in time.
    pub(crate) fn late() -> Self {
        Self::unanswered(
            "the database did not answer in time: see whether it is overloaded, or whether a transaction \
             of the application holds the event",
        )
    }

    /// There was no connection, so nothing was sent.
    pub(crate) fn no_connection() -> Self {
        Self::passing(
            "no connection became free or answered in time: see that the server runs and can be reached, \
             raise the pool's `max_connections`, or hold connections for a shorter time",
        )
    }

    /// The statement fails until somebody acts.
    pub(crate) fn permanent(advice: impl Into<Cow<'static, str>>) -> Self {
        Self::of_kind(FaultKind::Permanent, advice)
    }

    fn of_kind(kind: FaultKind, advice: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            advice: advice.into(),
            is_about_one_event: false,
            may_be_carried_out: false,
            cause: Cause::Other,
        }
    }

    /// The server was the primary, or is none.
    pub(crate) fn read_only() -> Self {
        let advice = "the server is read-only, as a replica or after a failover: connect to the primary, by a name or \
                      a proxy that follows it. Or the session is, by `default_transaction_read_only` or SET SESSION \
                      .. TRANSACTION READ ONLY: take that off the pool's connections";
        Self { cause: Cause::ReadOnly, ..Self::passing(advice) }
    }

    /// The node has left its cluster, or has not joined it yet.
    pub(crate) fn no_member() -> Self {
        let advice = "the server is no member of its cluster now: connect by a proxy that leads to members, or see in its \
                      log why it left";
        Self { cause: Cause::ReadOnly, ..Self::passing(advice) }
    }

    /// The user lacks a right on the table.
    pub(crate) fn no_rights(advice: String) -> Self {
        Self { cause: Cause::Rights, ..Self::permanent(advice) }
    }

    /// A log cannot be kept in this table.
    pub(crate) fn of_table(table: &TableName, schema: &str) -> Self {
        Self::permanent(format!(
            "the table `{table}` does not fit: `event_id` needs a PRIMARY KEY or UNIQUE constraint, as in\n{}",
            table.in_statement(schema)
        ))
    }

    /// The error that a caller gets.
    pub(crate) fn of(
        self,
        operation: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        Error::Store { operation: operation.into(), advice: self.advice, source: source.into() }
    }

    /// An unknown code: the database's own message says more. A trigger may have refused one event of many.
    pub(crate) fn unknown(database: &str) -> Self {
        let advice = format!(
            "{database} refused the statement, its own message says why; answer with an error so that the \
             sender delivers again"
        );
        Self { is_about_one_event: true, ..Self::permanent(advice) }
    }
}

/// An insert went through, and the row belongs to another owner: a trigger or a rule changed it. Another insert would
/// take the row for a duplicate.
#[derive(Debug, thiserror::Error)]
#[error("the row that was inserted has another owner")]
pub(crate) struct RowChanged;

/// A refused commit, without values that the body wrote.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database refused the commit with {code}{by}: its message may quote what was written, see its log"
)]
pub struct RefusedCommit {
    code: String,
    by: String,
}

impl RefusedCommit {
    /// `by`: the constraint and its table, if the driver reports them separately.
    pub(crate) fn new(code: String, by: Option<(&str, &str)>) -> Self {
        let by = by.map(|(constraint, table)| format!(", by `{constraint}` of `{table}`"));
        Self { code, by: by.unwrap_or_default() }
    }
}
