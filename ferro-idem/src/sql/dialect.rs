//! What each database does by itself. Everything else is written once, over this.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Database, Pool};

use super::fault::Fault;
use super::table::TableName;
use crate::claim::ClaimOutcome;
use crate::event::EventRef;
use crate::owner::Owner;

/// A database that [`SqlLog`](super::SqlLog) can be kept in: `sqlx::Sqlite`, `sqlx::Postgres` and
/// `sqlx::MySql`. Nothing else can implement it.
///
/// Each step takes many events at once, in the order of their ids, and answers in that order. Invariant:
/// no id is twice in one call. None waits long for a lock, because another caller's event may be in the
/// same statement: it fails as [`Fault::passing`], and is put again. `again`: not the first time. Then
/// one for a single event does not wait long either, so that attempts do not pile up at the server.
#[allow(missing_docs)]
pub trait Dialect: Database + sealed::Sealed {
    const SCHEMA: &'static str;
    const UPGRADE: &'static str;

    /// For a table that has no column `event_type`.
    const ADD_EVENT_TYPE: &'static str;

    /// How long one attempt waits for its answer, where an answer can be lost on the way.
    const ANSWERS_WITHIN: Option<Duration>;

    /// What names are quoted with.
    const QUOTE: char;

    /// The statements, written out for one table.
    type Statements: Send + Sync + 'static;

    fn statements(pool: &Pool<Self>, table: &TableName, columns: SchemaLevel) -> Self::Statements;

    /// Statements without parameters, in one message.
    fn run(connection: &mut Self::Connection, statements: String) -> impl Asked<()>;

    /// The columns of the table, none where there is no table.
    fn look_at_table(connection: &mut Self::Connection, table: &TableName) -> impl Asked<Vec<FoundColumn>>;

    /// The statements for a table with these columns whose `event_id` takes two ids for one. What it holds
    /// still counts.
    fn compare_bytes(found: &[FoundColumn]) -> Cow<'static, str>;

    /// Whether each event is now marked by its own owner.
    ///
    /// `again`: an earlier attempt may have been carried out, so a row with its owner is its own as well.
    fn mark(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        marks: &[&Mark],
        again: bool,
    ) -> impl Asked<Vec<bool>>;

    /// Takes a mark back that its caller never heard of.
    fn unmark(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        mark: &Mark,
    ) -> impl Asked<()>;

    /// Whether each event is now claimed by its own owner.
    fn claim(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        claims: &[&NewClaim],
        again: bool,
    ) -> impl Asked<Vec<Claimed>>;

    /// How each event stands; [`EventState::Free`] where there is no row.
    fn look(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        ids: &[&str],
    ) -> impl Asked<Vec<EventState>>;

    /// Whether each event was held as said, and so was changed.
    fn settle(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        step: Step,
        held: &[&Held],
        again: bool,
    ) -> impl Asked<Vec<bool>>;

    /// Deletes what is old of the next rows behind `after`, in the order of ids. `None`: there are no
    /// more.
    fn purge_page(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        after: &PageEnd,
        older_than: i64,
    ) -> impl Asked<Option<(PageEnd, u64)>>;

    /// What keeps other transactions away from an event, until it is dropped behind the end of its own.
    type Entered: Send + 'static;

    /// Marks an event in a transaction, without waiting for another one that has it.
    fn mark_in(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        mark: &Mark,
    ) -> impl Asked<Met<Self::Entered>>;

    /// A claim that was released, or whose lease is over, becomes processed by this transaction.
    fn take_over(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        mark: &Mark,
    ) -> impl Asked<bool>;

    /// Whether the mark is there, in the transaction that made it.
    fn is_marked(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        event_id: &str,
        owner: Owner,
    ) -> impl Asked<bool>;

    /// What a refusal means. Decided by code, never by message.
    fn explain(refusal: &dyn sqlx::error::DatabaseError, table: &TableName) -> Fault;
}

/// What a step of a dialect returns.
pub trait Asked<T>: Future<Output = Result<T, sqlx::Error>> + Send {}

impl<T, F: Future<Output = Result<T, sqlx::Error>> + Send> Asked<T> for F {}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// Which of the two tables that a fence can be kept in this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaLevel {
    /// The three of the recommended table.
    Plain,
    /// Those of [`Dialect::SCHEMA`].
    Full,
}

/// A column that a table has.
#[derive(Debug)]
pub struct FoundColumn {
    pub(super) name: String,
    /// Whether it keeps ids of up to 255 bytes as they are and tells them apart, were it `event_id`.
    pub(super) byte_exact: bool,
    /// Whether the table has each value of it once. `true` also where the database refuses the mark's
    /// statement if it has not.
    pub(super) unique: bool,
    /// Whether what is written to it is rolled back with its transaction.
    pub(super) rolls_back: bool,
}

/// An event to mark, by one call. Cheap to clone: who waits for a shared statement keeps it as well.
#[derive(Clone, Debug)]
pub struct Mark {
    pub(super) id: Arc<str>,
    pub(super) event_type: Arc<str>,
    pub(super) owner: Owner,
}

impl Mark {
    pub(super) fn new(event: EventRef<'_>, owner: Owner) -> Self {
        Self { id: event.id().into(), event_type: event.recorded_type().unwrap_or_default().into(), owner }
    }
}

/// An event to claim, by one call.
#[derive(Clone, Debug)]
pub struct NewClaim {
    pub(super) mark: Mark,
    pub(super) lease_millis: i64,
}

/// An event that is held, by one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub(super) id: Arc<str>,
    pub(super) owner: Owner,
    pub(super) token: i64,
    /// For [`Step::Renew`].
    pub(super) lease_millis: i64,
}

/// What a mark in a transaction met.
#[derive(Debug)]
pub enum Met<E> {
    /// Nothing: the event is marked.
    Nothing(E),
    /// A row, which tells how the event stands.
    Row(E),
    /// Another transaction that has the event.
    Transaction,
}

/// What is done to a held event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Renew,
    Complete,
    Release,
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// By its own owner.
    Acquired {
        token: u64,
    },
    Not(EventState),
    /// Not, and how the event stands has to be asked: it may have changed since the statement began.
    Unknown,
}

impl Claimed {
    /// `None`: look, and then claim again.
    pub(super) fn as_outcome(self) -> Option<ClaimOutcome> {
        match self {
            Self::Acquired { token } => Some(ClaimOutcome::Acquired { token }),
            Self::Not(standing) => standing.as_outcome(),
            Self::Unknown => None,
        }
    }
}

/// How an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    Processed,
    Claimed {
        left: Duration,
    },
    /// Not there, released, or its lease is over.
    Free,
}

impl EventState {
    /// For a claim that did not get the event. `None`: it can be claimed.
    pub(super) fn as_outcome(self) -> Option<ClaimOutcome> {
        match self {
            Self::Processed => Some(ClaimOutcome::Processed),
            Self::Claimed { left } => Some(ClaimOutcome::InProgress { retry_after: left }),
            Self::Free => None,
        }
    }

    /// Of a row's state, and the milliseconds that its lease has left.
    pub(super) fn of(state: i64, left: Option<i64>) -> Self {
        match (state, left.and_then(|left| u64::try_from(left).ok())) {
            (1, _) => Self::Processed,
            (0, Some(left)) if left > 0 => Self::Claimed { left: Duration::from_millis(left) },
            _ => Self::Free,
        }
    }
}

/// The last id of a page of a purge, as bytes: what a database orders by.
pub(super) type PageEnd = Vec<u8>;

/// Rows read, and at most deleted, in one transaction of a purge: a few milliseconds of its locks.
pub(super) const PURGE_PAGE: i64 = 500;

/// A fence as databases count, which have no unsigned integers.
pub(super) fn token_of(counted: i64) -> u64 {
    u64::try_from(counted).unwrap_or(0)
}

/// For each of the ids, whether a statement returned it.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn are_in<'a>(returned: &[String], ids: impl Iterator<Item = &'a str>) -> Vec<bool> {
    let returned: std::collections::HashSet<&str> = returned.iter().map(String::as_str).collect();
    ids.map(|id| returned.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_whose_time_is_over_is_free() {
        assert_eq!(EventState::of(0, Some(5)), EventState::Claimed { left: Duration::from_millis(5) });
        for (state, left) in [(0, Some(0)), (0, Some(-5)), (0, None), (2, None)] {
            assert_eq!(EventState::of(state, left), EventState::Free);
        }
        assert_eq!(EventState::of(1, None), EventState::Processed);
    }
}
