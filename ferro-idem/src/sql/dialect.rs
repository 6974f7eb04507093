//! The trait with everything that differs between databases. All other code is written once, over this trait.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sqlx::{Connection, Database, Pool};

use super::columns::{FoundColumn, SchemaLevel, Traps};
use super::event_state::{ClaimStep, Claimed, EventState, HeldClaim, Mark, NewClaim, PageEnd};
use super::fault::Fault;
use super::operations::rows::OperationsDialect;
use super::reply_dialect::ReplyDialect;
use super::table::TableName;
use super::table_check::TableText;
use crate::event_table::in_transaction::connection::Statement;
use crate::event_table::in_transaction::steps::TransactionSteps;
use crate::event_table::in_transaction::value::{Kind, Parameter, Row};
use crate::retry::Attempt;

/// A database that a [`SqlLog`](crate::SqlLog) can be kept in: `sqlx::Sqlite`, `sqlx::Postgres` and
/// `sqlx::MySql`.
///
/// Use it as a bound if your own code is generic over the database. The trait is sealed: it has no methods
/// for users, and only this crate implements it.
///
/// ```
/// use ferro_idem::{Error, ProcessedEventLog, SqlDatabase, SqlLog};
///
/// async fn first<D: SqlDatabase>(log: &SqlLog<D>, event_id: &str) -> Result<bool, Error> {
///     log.try_mark_processed(event_id).await
/// }
/// ```
pub trait SqlDatabase: Dialect {}

impl<D: Dialect> SqlDatabase for D {}

/// The part that differs between databases. Private: users see [`SqlDatabase`].
///
/// Methods for several events take them in the order of their ids, without repetition, and answer in that
/// order. None of them waits long for a lock, because other callers' events may share the statement: it fails
/// with [`Fault::passing`], and the request is sent again. On [`Attempt::Retry`], statements for a single
/// event do not wait long either, so that attempts do not pile up at the server.
#[allow(missing_docs)]
pub trait Dialect: Database + OperationsDialect + ReplyDialect + sealed::Sealed {
    /// How the database writes the table down.
    const TABLE: &'static TableText;

    /// How long one attempt waits for its answer. `None` if no answer can be lost on the way.
    const ANSWERS_WITHIN: Option<Duration>;

    /// How long after an attempt was sent the server may still carry it out. Statements carry their deadline, and a
    /// statement that met it may wait for a locked row after that.
    const SERVER_DEADLINE: Duration;

    /// What to do if a pooler stands between. Empty if there are none that matter.
    const POOLER: &'static str = "";

    /// Which session of the server a connection leads to.
    fn session_of(connection: &mut Self::Connection) -> impl QueryFuture<i32> {
        let _ = connection;
        std::future::ready(Ok(0))
    }

    /// The file of a database that has one writer at a time.
    fn file_with_one_writer(options: &<Self::Connection as Connection>::Options) -> Option<&Path> {
        let _ = options;
        None
    }

    /// The quote around names.
    const QUOTE: char;

    /// When an event was received, in seconds since 1970, if `received_at` may hold numbers or text.
    const RECEIVED: &'static str = "";

    /// The statements, written out for one table.
    type Statements: TransactionSteps;

    fn statements(
        pool: &Pool<Self>,
        table: &TableName,
        level: SchemaLevel,
        traps: &Traps,
    ) -> Self::Statements;

    /// Those of them that are about replies.
    fn reply_statements(statements: &Self::Statements) -> &Self::ReplyStatements;

    /// Runs statements without parameters, in one message.
    fn run(connection: &mut Self::Connection, statements: String) -> impl QueryFuture<()>;

    /// The columns of the table. Empty if there is no table.
    fn look_at_table(
        connection: &mut Self::Connection,
        table: &TableName,
    ) -> impl QueryFuture<Vec<FoundColumn>>;

    /// Looks for settings of the table, and of the session, that break a promise.
    fn look_for_traps(connection: &mut Self::Connection, table: &TableName) -> impl QueryFuture<Traps>;

    /// The columns that an insert has to fill, apart from those that every log fills.
    fn columns_without_default(
        connection: &mut Self::Connection,
        table: &TableName,
    ) -> impl QueryFuture<Vec<String>>;

    /// For each event, whether its own owner has marked it.
    ///
    /// [`Attempt::Retry`]: an earlier attempt may have been carried out, so a row with the mark's owner counts
    /// as its own.
    fn mark(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        marks: &[&Mark],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>>;

    /// Deletes marks whose callers did not get the answer. Rows of claims and transactions stay.
    fn unmark(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        marks: &[&Mark],
    ) -> impl QueryFuture<()>;

    /// For each event, whether its own owner has claimed it.
    fn claim(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        claims: &[&NewClaim],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<Claimed>>;

    /// The state of each event; [`EventState::Free`] without a row.
    fn look(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        ids: &[&str],
    ) -> impl QueryFuture<Vec<EventState>>;

    /// For each claim, whether it was still held, and so was changed.
    fn update_claims(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        step: ClaimStep,
        held: &[&HeldClaim],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>>;

    /// Deletes old rows among the next page of ids after `after`. `None`: there is no next page.
    fn purge_page(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        after: &PageEnd,
        older_than: i64,
    ) -> impl QueryFuture<Option<(PageEnd, u64)>>;

    /// Runs one statement of a transaction, and returns how many rows it affected.
    fn execute(
        connection: &mut Self::Connection,
        statement: Statement<'_>,
        parameters: &[Parameter<'_>],
    ) -> impl QueryFuture<u64>;

    /// Runs one statement of a transaction, and returns its rows. `kinds` are the types of their columns.
    fn rows(
        connection: &mut Self::Connection,
        statement: Statement<'_>,
        parameters: &[Parameter<'_>],
        kinds: &[Kind],
    ) -> impl QueryFuture<Vec<Row>>;

    /// Puts a connection right whose last transaction the database has ended by itself.
    fn forget_ended_transaction(connection: &mut Self::Connection) -> impl QueryFuture<()> {
        let _ = connection;
        std::future::ready(Ok(()))
    }

    /// Begins a transaction, in one message.
    const BEGIN: &'static str;

    /// The meaning of a refusal, decided by its code, never by its message.
    fn explain(refusal: &dyn sqlx::error::DatabaseError, table: &TableName) -> Fault;

    /// The meaning of an error of the driver.
    fn fault_of(error: &sqlx::Error, table: &TableName) -> Fault {
        match error {
            sqlx::Error::Database(refusal) => Self::explain(refusal.as_ref(), table),
            other => Fault::of_driver(other, Self::NAME),
        }
    }
}

/// The future of a query.
pub trait QueryFuture<T>: Future<Output = Result<T, sqlx::Error>> + Send {}

impl<T, F: Future<Output = Result<T, sqlx::Error>> + Send> QueryFuture<T> for F {}

pub(super) mod sealed {
    pub trait Sealed {}
}
