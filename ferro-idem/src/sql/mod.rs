//! The logs in SQL databases: one implementation, over what each database does by itself.

mod claim;
mod dialect;
mod fault;
mod group;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod many;
mod mark;
mod pooled_transaction;
mod purge;
mod request;
mod schema_level;
mod session;
mod table;
mod transaction;

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::sync::{Arc, OnceLock};

use sqlx::Pool;
use sqlx::pool::PoolConnection;

use self::dialect::{Dialect, FoundColumn, SchemaLevel};
use self::fault::Fault;
use self::group::Groups;
use self::table::TableName;
use crate::error::Error;
use crate::retry::Attempts;

#[cfg(feature = "mysql")]
pub use self::mysql::{MySqlLog, MySqlTransaction};
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresLog, PostgresTransaction};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteLog, SqliteTransaction};
pub use self::table::InvalidTableName;
pub use self::transaction::SqlTransaction;

/// A log in the application's own SQL database: `SqliteLog`, `PostgresLog` or `MySqlLog`, where
/// each says what is its own.
///
/// Takes the application's own pool; clones share it. One table holds all three guarantees.
///
/// # The table
///
/// [`SCHEMA`](Self::SCHEMA), from your own migrations, or made by
/// [`create_table`](Self::create_table) in development. A plain table that the application already
/// has (`event_id` as primary key, `event_type`, `received_at`) works as it is for fence and
/// transaction, without the column that tells which call made the mark; a claim answers with the
/// statements of [`UPGRADE`](Self::UPGRADE) that are missing. One whose `event_id` takes two ids for one, or
/// cuts long ones, is an [`Error::Store`] with the statements that mend it.
///
/// # Lost replies
///
/// A mark and each step of a claim carry a owner of their own. After an error that leaves open whether
/// the database did it, they are asked again with the same owner, up to 8 times within 10 seconds:
/// "it is there, with my owner" counts as first. So are deadlocks and serialization failures. Only then it
/// is [`Error::Store`], and a mark that may be there all the same is taken back, so that the next delivery
/// runs: where the database stays away for 10 seconds more, or carries it out only after that, the event
/// counts as seen. In a plain table there is no owner, so a mark whose reply was lost is an
/// [`Error::Store`] at once, and its event counts as seen.
///
/// # Group commit
///
/// Calls that come while a statement is under way share the next one: a burst costs a statement for
/// hundreds of deliveries, and a single call waits for nobody. Nobody's call fails for another's: an
/// event that the table refuses, or that a transaction of the application holds, is asked for alone. Who
/// queues behind a statement that gets no answer waits for that one as well, beside its own 10 seconds.
/// [`without_group_commit`](Self::without_group_commit) gives each call a statement of its own. A plain
/// table has no group commit.
///
/// # Cancel safety
///
/// A dropped call leaves the table consistent and the pool whole, and harms no other call. A mark that
/// was made, or may have been made, for a caller who went before the answer is handed to another delivery of
/// the event that waits, or taken back, so that the next delivery runs (one that asked in between was a
/// duplicate); where the process crashes there, or in a plain table, it stays.
pub struct SqlLog<D: Dialect> {
    pool: Pool<D>,
    table: Arc<Table<D>>,
    shares: bool,
}

struct Table<D: Dialect> {
    name: TableName,
    /// Written out by the first call that finds the plain table. A fence's mark goes on with them
    /// after an upgrade, because the new columns have defaults; what reads or deletes rows has to
    /// know of claims, and looks again.
    plain: OnceLock<Statements<D>>,
    /// Written out by the first call that finds the columns of [`SqlLog::SCHEMA`]. Final.
    full: OnceLock<Statements<D>>,
    groups: Groups<D>,
}

struct Statements<D: Dialect> {
    columns: SchemaLevel,
    texts: D::Statements,
}

impl<D: Dialect> SqlLog<D> {
    /// The table that serves every guarantee. `event_id` as primary key is the fence.
    ///
    /// `state`: 0 claimed, 1 processed, 2 released. A row that has only the first three columns
    /// reads as processed.
    pub const SCHEMA: &'static str = D::SCHEMA;

    /// The statements that make the table of [`SCHEMA`](Self::SCHEMA) out of a plain one, under a
    /// running application: what is there already stays, and counts as processed. Run them once.
    pub const UPGRADE: &'static str = D::UPGRADE;

    /// A log in the application's own pool. Creates nothing and asks nothing.
    pub fn new(pool: Pool<D>) -> Self {
        Self { pool, table: Arc::new(Table::new(TableName::default())), shares: true }
    }

    /// The same log in another table than `stripe_processed_events`.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] where the name is not letters, digits and `_`, or is over 63 bytes.
    pub fn with_table(self, name: &str) -> Result<Self, InvalidTableName> {
        Ok(Self { table: Arc::new(Table::new(TableName::new(name)?)), ..self })
    }

    /// Creates the table if it is missing, for development and embedded use. Several processes may do so at
    /// once.
    ///
    /// In production, put [`SCHEMA`](Self::SCHEMA) into your migrations.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] where the database cannot be written.
    pub async fn create_table(&self) -> Result<(), Error> {
        let mut connection = self.connection("create the table").await?;
        let created = D::run(&mut connection, self.table.name.in_statement::<D>(D::SCHEMA)).await;
        let Err(error) = created else { return Ok(()) };
        // PostgreSQL refuses one of two who create it at once, although each asks for a table only if there
        // is none. Where the pool has one connection, it is the one to look with.
        drop(connection);
        match self.look_at_table().await {
            Ok(found) if !found.is_empty() => Ok(()),
            _ => Err(self.explained("create the table", error)),
        }
    }

    /// The same log with a statement for each call, in place of one for all that come at once.
    ///
    /// Group commit is on by default: it makes bursts many times faster, and adds no wait to a single
    /// call. It serves tables with the columns of [`SCHEMA`](Self::SCHEMA).
    #[must_use]
    pub fn without_group_commit(self) -> Self {
        Self { shares: false, ..self }
    }

    /// The pool, for the application's own statements.
    pub fn pool(&self) -> &Pool<D> {
        &self.pool
    }

    async fn statements(&self) -> Result<&Statements<D>, Error> {
        match self.table.full.get().or_else(|| self.table.plain.get()) {
            Some(statements) => Ok(statements),
            None => self.current_statements().await,
        }
    }

    /// Those for the table as it is now: a plain one is looked at again.
    async fn current_statements(&self) -> Result<&Statements<D>, Error> {
        if let Some(statements) = self.table.full.get() {
            return Ok(statements);
        }
        self.statements_for(&self.look_at_table().await?)
    }

    /// Those of a table that can hold claims.
    async fn claim_statements(&self) -> Result<&Statements<D>, Error> {
        if let Some(statements) = self.table.full.get() {
            return Ok(statements);
        }
        let found = self.look_at_table().await?;
        let statements = self.statements_for(&found)?;
        match statements.columns {
            SchemaLevel::Full => Ok(statements),
            SchemaLevel::Plain => Err(schema_level::no_claims::<D>(&self.table.name, &found)),
        }
    }

    fn statements_for(&self, found: &[FoundColumn]) -> Result<&Statements<D>, Error> {
        let columns = schema_level::schema_level_of::<D>(&self.table.name, found)?;
        Ok(self.table.written(columns).get_or_init(|| Statements {
            columns,
            texts: D::statements(&self.pool, &self.table.name, columns),
        }))
    }

    async fn look_at_table(&self) -> Result<Vec<FoundColumn>, Error> {
        let mut attempts = Attempts::new();
        loop {
            let (fault, source) = match self.connected(&attempts).await {
                Err(failed) => failed,
                Ok(mut connection) => {
                    let look = D::look_at_table(&mut connection, &self.table.name);
                    match attempts.attempt(D::ANSWERS_WITHIN, look).await {
                        Ok(Ok(found)) => return Ok(found),
                        Ok(Err(error)) => self.failed(error),
                        Err(late) => {
                            connection.close_on_drop();
                            (Fault::late(), late.into())
                        }
                    }
                }
            };
            if !attempts.again_after(fault.kind).await {
                return Err(fault.of("look at the table's columns", source));
            }
        }
    }

    async fn connection(&self, operation: &'static str) -> Result<PoolConnection<D>, Error> {
        self.pool.acquire().await.map_err(|error| self.explained(operation, error))
    }

    fn explained(&self, operation: &'static str, error: sqlx::Error) -> Error {
        self.fault_of(&error).of(operation, error)
    }

    fn fault_of(&self, error: &sqlx::Error) -> Fault {
        fault::fault_of::<D>(error, &self.table.name)
    }
}

impl<D: Dialect> Table<D> {
    fn written(&self, columns: SchemaLevel) -> &OnceLock<Statements<D>> {
        match columns {
            SchemaLevel::Plain => &self.plain,
            SchemaLevel::Full => &self.full,
        }
    }

    fn new(name: TableName) -> Self {
        Self { name, plain: OnceLock::new(), full: OnceLock::new(), groups: Groups::default() }
    }
}

/// Derived, it would ask for a database that is `Clone`.
impl<D: Dialect> Clone for SqlLog<D> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), table: Arc::clone(&self.table), shares: self.shares }
    }
}

impl<D: Dialect> fmt::Debug for SqlLog<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlLog")
            .field("database", &D::NAME)
            .field("table", &self.table.name)
            .finish_non_exhaustive()
    }
}
