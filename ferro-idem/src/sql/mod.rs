//! Logs in SQL databases: one implementation over a trait with the differences between databases.
//!
//! From the ground up: names and values ([`table`], [`columns`], [`event_state`], [`fault`]), the trait that
//! each database implements ([`dialect`]), the table in its pool ([`core`]), one request until it is answered
//! ([`request`], [`session`]), requests that share a statement ([`group`]), and the contracts of this crate
//! over them ([`mark`], [`claim`], [`transaction`], [`purge`]). Imports point downwards only.

mod abandoned;
#[cfg(feature = "inbox")]
mod beside;
mod check;
mod claim;
mod compiled;
mod connection;
mod core;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod deadline;
mod dialect;
mod fault;
mod group;
mod mark;
mod on_sqlx;
mod operations;
mod pooled_transaction;
mod pooler;
mod purge;
#[cfg(feature = "replay")]
mod replay;
mod reply_columns;
mod reply_dialect;
mod request;
mod session;
mod transaction;
mod unmark_queue;
mod write_turns;

#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::fmt;
use std::sync::Arc;

use sqlx::Pool;

use self::core::Core;
use self::group::Groups;
use crate::error::Error;
use crate::event_table::{check as table_check, columns, event_state, name as table};

#[cfg(feature = "inbox")]
pub(crate) use self::beside::Beside;
#[cfg(feature = "inbox")]
pub(crate) use self::core::Compiled;
#[cfg(feature = "inbox")]
pub(crate) use self::dialect::QueryFuture;
pub use self::dialect::SqlDatabase;
#[cfg(feature = "inbox")]
pub(crate) use self::group::{SharedGroup, SharedRequest};
#[cfg(feature = "mysql")]
pub use self::mysql::{MySqlLog, MySqlTransaction};
#[cfg(feature = "inbox")]
pub(crate) use self::operations::rows::{Cells, Value, time_of};
#[cfg(feature = "inbox")]
pub(crate) use self::operations::statements::numbered;
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresLog, PostgresTransaction};
#[cfg(feature = "inbox")]
pub(crate) use self::purge::seconds_of_age;
#[cfg(feature = "inbox")]
pub(crate) use self::request::Request;
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteLog, SqliteTransaction};
pub use self::transaction::SqlTransaction;
#[cfg(feature = "inbox")]
pub(crate) use crate::event_table::event_state::PURGE_PAGE;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "sqlite")))]
pub(crate) use crate::event_table::many::Many;
pub(crate) use crate::event_table::name::{InvalidTableName, TableName};

/// A log in the application's own SQL database: [`SqliteLog`](crate::SqliteLog),
/// [`PostgresLog`](crate::PostgresLog) or [`MySqlLog`](crate::MySqlLog). The documentation of each says what
/// is special about it.
///
/// It takes the application's own pool, and clones share it. One table holds all three guarantees.
///
/// # The table
///
/// Create the table of [`SCHEMA`](Self::SCHEMA) in your own migrations, or with
/// [`create_table`](Self::create_table) in development. A plain table that the application already has
/// (`event_id` as primary key, `event_type`, `received_at`) works unchanged for fence and transaction, but it
/// has no column that tells which call made a mark. Only replies need the last two columns, `reply_until` and `reply`. A claim over it fails with the statements of
/// [`UPGRADE`](Self::UPGRADE) that are missing. A table whose `event_id` treats distinct ids as equal, or cuts
/// long ones, is rejected with an [`Error::Store`] that holds the statements to fix it.
///
/// # Lost replies
///
/// Each mark and each claim has an owner of its own. After an error that leaves open whether the database
/// carried the statement out, the same request is sent again with the same owner, up to 8 times within 10
/// seconds. A row with its own owner counts as first. Deadlocks and serialization failures are retried in the
/// same way. If there is still no answer, the call fails with [`Error::Store`], and a mark that may exist is
/// taken back in the background, so that the next delivery runs. A delivery that reaches the same process before that
/// goes on with that mark, or waits until it is gone. This goes on, through an outage of the
/// database too, until the mark is known to be gone; only if the process dies first, the mark stays and its
/// event counts as seen. While 65,536 marks wait to be taken back, no new ones are made. A plain table has no owners:
/// a mark whose reply was lost fails with [`Error::Store`] at once, and its event counts as seen.
///
/// # Group commit
///
/// Calls that arrive while a statement is running share the next one. A burst of hundreds of deliveries costs
/// a few statements. There is no timer, so a lone call is never delayed. No call fails because of another: an
/// event that the table refuses, or that a transaction of the application has locked, is requested alone.
/// Each caller is answered within its own 10 seconds, however many wait. An event that failed alone is sent
/// apart from the others for 10 seconds. A batch that waits for a locked row does not keep the next one waiting. On a
/// runtime of one thread (`#[tokio::main(flavor = "current_thread")]`, a worker of actix-web) it does, until
/// its statement gives up waiting for the lock, after a second at most. Only the first delivery of a locked event
/// delays others like that, because its next ones are sent apart.
/// [`without_group_commit`](Self::without_group_commit) gives each call a statement of its own. A
/// plain table has no group commit.
///
/// # Cancel safety
///
/// Dropping a call leaves the table consistent and the pool whole, and harms no other call. If its mark was
/// made, or may have been made, another delivery of the event that waits becomes first instead, or the mark
/// is taken back, so that the next delivery runs. A delivery that reaches this process before that takes the mark
/// over; one that reaches another process is a duplicate. If the process crashes before that, or over a plain
/// table, the mark stays.
pub struct SqlLog<D: SqlDatabase> {
    core: Arc<Core<D>>,
    groups: Arc<Groups<D>>,
    has_group_commit: bool,
}

impl<D: SqlDatabase> SqlLog<D> {
    /// The table for all guarantees. The primary key on `event_id` is the fence.
    ///
    /// `state` is 0 for claimed, 1 for processed, 2 for released. A row that was written to the first three
    /// columns only counts as processed. The documentation of [`PostgresLog`](crate::PostgresLog),
    /// [`MySqlLog`](crate::MySqlLog) and [`SqliteLog`](crate::SqliteLog) shows the statements.
    pub const SCHEMA: &'static str = D::TABLE.schema;

    /// The statements that upgrade a plain table to that of [`SCHEMA`](Self::SCHEMA), under a running
    /// application. Existing rows stay, and count as processed. Run them once. A table that was made before replies
    /// lacks only the last two columns: on PostgreSQL and MariaDB all statements can be run again, elsewhere run those
    /// of [`missing_columns`](Self::missing_columns). Transactions of a running
    /// application look at a plain table again after a second, and claims each time.
    pub const UPGRADE: &'static str = D::TABLE.upgrade;

    /// A log over the application's own pool. Creates nothing and sends nothing.
    pub fn new(pool: Pool<D>) -> Self {
        Self::over(Core::new(pool, TableName::recommended(D::QUOTE)))
    }

    fn over(core: Core<D>) -> Self {
        Self { core: Arc::new(core), groups: Arc::default(), has_group_commit: true }
    }

    /// The same log over another table than `stripe_processed_events`.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] if the name is not letters, digits and `_`, or is over 63 bytes. The schema is named by
    /// [`with_schema`](Self::with_schema).
    pub fn with_table(self, name: &str) -> Result<Self, InvalidTableName> {
        let core = self.core.with_table(self.core.table().with_name(name)?);
        Ok(Self { has_group_commit: self.has_group_commit, ..Self::over(core) })
    }

    /// The same log over a table in this schema: a schema of PostgreSQL, another database of a MySQL server, or a
    /// database that is attached to every SQLite connection. By default, the table is where the connection's
    /// unqualified names lead.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] if the schema's name is not letters, digits and `_`, or is over 63 bytes.
    pub fn with_schema(self, schema: &str) -> Result<Self, InvalidTableName> {
        let core = self.core.with_table(self.core.table().with_schema(schema)?);
        Ok(Self { has_group_commit: self.has_group_commit, ..Self::over(core) })
    }

    /// [`SCHEMA`](Self::SCHEMA) for this log's own table and schema, to be put into a migration.
    pub fn schema(&self) -> String {
        self.core.table().in_statement(D::TABLE.schema)
    }

    /// Checks the table, its columns, the user's rights and the session's settings. Run it when the application
    /// starts, so that it does not find out at the first delivery.
    ///
    /// Writes nothing. A plain table passes, although it holds no claims.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with everything that is wrong, each with what fixes it; or if the database cannot be reached.
    pub async fn check(&self) -> Result<(), Error> {
        self.core.check().await
    }

    /// Creates the table if it is missing, for development and embedded use. Several processes may call it
    /// at once.
    ///
    /// In production, put [`SCHEMA`](Self::SCHEMA) into your migrations.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database cannot be written.
    pub async fn create_table(&self) -> Result<(), Error> {
        self.core.create_table().await
    }

    /// The same log with a statement for each call, instead of one for all calls that arrive together.
    ///
    /// Group commit is on by default: it makes bursts many times faster, and does not delay a single call.
    /// It needs a table with the columns of [`SCHEMA`](Self::SCHEMA).
    #[must_use]
    pub fn without_group_commit(self) -> Self {
        Self { has_group_commit: false, ..self }
    }

    /// The pool, for the application's own statements.
    pub fn pool(&self) -> &Pool<D> {
        self.core.pool()
    }
}

/// Not derived: a derived one would require `D: Clone`.
impl<D: SqlDatabase> Clone for SqlLog<D> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            groups: Arc::clone(&self.groups),
            has_group_commit: self.has_group_commit,
        }
    }
}

impl<D: SqlDatabase> fmt::Debug for SqlLog<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlLog")
            .field("database", &D::NAME)
            .field("table", self.core.table())
            .finish_non_exhaustive()
    }
}
