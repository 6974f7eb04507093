//! The log in a SQLite file.

mod claim;
mod fault;
mod open;
mod transaction;

pub use self::transaction::SqliteTransaction;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::table::{InvalidTableName, TableName};
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::owner::Owner;

/// A log in a SQLite database: for one machine, durable, no server.
///
/// Every process that opens the same file shares one fence. A mark is on the disk before it is
/// reported: [`open`](Self::open) sets WAL and `synchronous=FULL`
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
///
/// Clones share one pool.
///
/// # The table
///
/// [`SCHEMA`](Self::SCHEMA), made by [`open`](Self::open) or [`create_table`](Self::create_table),
/// or by your own migrations. A plain table that the application already has (`event_id` as primary
/// key, `event_type`, `received_at`) works as it is for fence and transaction, without the column that
/// tells which call made the mark; a claim answers with the statements of [`UPGRADE`](Self::UPGRADE)
/// that are missing.
///
/// # Transactions
///
/// SQLite has one writer. A body under `transaction(tx)` holds the write lock from its mark to its
/// commit: keep it short, and let nothing in it wait for the network. A second delivery of the same
/// event is told at once that the first one is running, if it came to the same process (through clones
/// of one log); from another process it waits for the lock, and for no longer than `busy_timeout`.
///
/// # Cancel safety
///
/// A dropped call leaves the table consistent and the pool whole. Its mark may have been made all
/// the same.
///
/// ```
/// # use ferro_idem::{Error, ProcessedEventLog, SqliteLog};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let folder = std::env::temp_dir().join(format!("ferro-idem-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("events.db");
/// let log = SqliteLog::open(&path).await?;
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SqliteLog {
    pool: SqlitePool,
    table: Arc<Table>,
}

struct Table {
    name: TableName,
    /// Written out by the first call that finds the plain table. A fence's mark goes on with them
    /// after an upgrade, because the new columns have defaults; what reads or deletes rows has to
    /// know of claims, and looks again.
    plain: OnceLock<Statements>,
    /// Written out by the first call that finds the columns of [`SqliteLog::SCHEMA`]. Final.
    full: OnceLock<Statements>,
    /// Written out by the first claim, which needs the columns of [`SqliteLog::SCHEMA`].
    claim_statements: OnceLock<claim::Statements>,
    in_flight: transaction::InFlight,
}

struct Statements {
    columns: Columns,
    insert: Arc<str>,
    look: Arc<str>,
    page_end: Arc<str>,
    delete_page: Arc<str>,
}

/// Which of the two tables that a fence can be kept in this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    /// The three of the recommended table.
    Plain,
    /// Those of [`SqliteLog::SCHEMA`].
    Full,
}

const INSERT: &str = "INSERT INTO stripe_processed_events (event_id, event_type, owner) \
     VALUES (?1, ?2, ?3) ON CONFLICT (event_id) DO NOTHING";

const INSERT_PLAIN: &str = "INSERT INTO stripe_processed_events (event_id, event_type) \
     VALUES (?1, ?2) ON CONFLICT (event_id) DO NOTHING";

/// As [`claim::LOOK`]: every row of a plain table is processed.
const LOOK_PLAIN: &str = "SELECT 1, NULL FROM stripe_processed_events WHERE event_id = ?1";

/// The last id of the next page. Pages follow the primary key, so that purging reads the table
/// once however many rows stay; no index on `received_at` is needed.
const PAGE_END: &str = "SELECT max(event_id) FROM (SELECT event_id FROM stripe_processed_events \
     WHERE event_id > ?1 ORDER BY event_id LIMIT ?2)";

const DELETE_PAGE: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > ?1 AND event_id <= ?2 AND unixepoch(received_at) < unixepoch('now') - ?3 \
     AND (state <> 0 OR lease_until <= unixepoch('subsec') * 1000)";

const DELETE_PAGE_PLAIN: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > ?1 AND event_id <= ?2 AND unixepoch(received_at) < unixepoch('now') - ?3";

/// Rows read, and at most deleted, in one transaction of a purge: a few milliseconds of the lock.
const PURGE_PAGE: i64 = 500;

impl SqliteLog {
    /// The statements that make the table of [`SCHEMA`](Self::SCHEMA) out of a plain one, under a
    /// running application: what is there already stays, and counts as processed.
    ///
    /// SQLite knows no `ADD COLUMN IF NOT EXISTS`: run it once.
    pub const UPGRADE: &'static str = "\
ALTER TABLE stripe_processed_events ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner BLOB;
ALTER TABLE stripe_processed_events ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until INTEGER;
ALTER TABLE stripe_processed_events ADD COLUMN updated_at TEXT;";

    /// The table that serves every guarantee. `event_id` as primary key is the fence.
    ///
    /// `state`: 0 claimed, 1 processed, 2 released. A row that has only the first three columns
    /// reads as processed. `lease_until` is in milliseconds since 1970.
    pub const SCHEMA: &'static str = "\
CREATE TABLE IF NOT EXISTS stripe_processed_events (
  event_id    TEXT NOT NULL PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  state       INTEGER NOT NULL DEFAULT 1,
  owner       BLOB,
  fence       INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER,
  updated_at  TEXT
) STRICT, WITHOUT ROWID;";

    /// Opens or creates the database file, and makes the table ready: the embedded default.
    ///
    /// The file is put into WAL mode with `synchronous=FULL`, and a writer waits up to 5 seconds
    /// for the lock. [`pool`](Self::pool) is there for the application's own tables. An existing
    /// table stays as it is.
    ///
    /// Cancel safe: a file or table may stay behind, which the next `open` takes over.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], saying what to do, where the folder is missing, the file is not a database,
    /// cannot be written, is locked for longer than 5 seconds, or the SQLite library has the WAL-reset
    /// defect (<https://www.sqlite.org/wal.html#walresetbug>).
    pub async fn open(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        open::open(path.as_ref()).await
    }

    /// A log in the application's own pool. Creates nothing and asks nothing.
    ///
    /// Set `synchronous` to `FULL` (sqlx's default), or a power cut can take marks back that were
    /// acknowledged; set a `busy_timeout`. A `:memory:` database is one per connection, so a pool
    /// over it has to be of one connection.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, table: Arc::new(Table::new(TableName::default())) }
    }

    /// The same log in another table than `stripe_processed_events`.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] where the name is not letters, digits and `_`, or is over 63 bytes.
    pub fn table(self, name: &str) -> Result<Self, InvalidTableName> {
        Ok(Self { table: Arc::new(Table::new(TableName::new(name)?)), ..self })
    }

    /// Creates the table if it is missing, for development and embedded use.
    ///
    /// In production, put [`SCHEMA`](Self::SCHEMA) into your migrations.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] where the database cannot be written.
    pub async fn create_table(&self) -> Result<(), Error> {
        let create = self.table.name.in_statement(Self::SCHEMA);
        sqlx::query(AssertSqlSafe(create))
            .execute(&self.pool)
            .await
            .map_err(|error| self.fault("create the table", error))?;
        Ok(())
    }

    /// The pool, for the application's own statements.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Deletes the events received longer than `older_than` ago, and says how many.
    ///
    /// An event that comes back after that runs again: [`RETENTION`](crate::RETENTION) is longer
    /// than any resend of Stripe's. Deletes in small transactions, so that marks wait for a few
    /// milliseconds at most; a running claim is never deleted. Run it once a day.
    ///
    /// Cancel safe: what was deleted stays deleted, the rest stays.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; what was deleted before it stays deleted.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        let fault = |error| self.fault("purge old events", error);
        let statements = self.current_statements().await?;
        let age = i64::try_from(older_than.as_secs()).unwrap_or(i64::MAX);
        let mut deleted = 0;
        let mut page_start = String::new();
        loop {
            let page_end: Option<String> =
                sqlx::query_scalar(AssertSqlSafe(Arc::clone(&statements.page_end)))
                    .bind(&page_start)
                    .bind(PURGE_PAGE)
                    .fetch_one(&self.pool)
                    .await
                    .map_err(fault)?;
            let Some(page_end) = page_end else { return Ok(deleted) };
            let page = sqlx::query(AssertSqlSafe(Arc::clone(&statements.delete_page)))
                .bind(&page_start)
                .bind(&page_end)
                .bind(age)
                .execute(&self.pool)
                .await
                .map_err(fault)?;
            deleted += page.rows_affected();
            page_start = page_end;
        }
    }

    async fn mark(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let statements = self.statements().await?;
        let insert = sqlx::query(AssertSqlSafe(Arc::clone(&statements.insert)))
            .bind(event.id())
            .bind(event.event_type().unwrap_or_default());
        let insert = match statements.columns {
            Columns::Full => insert.bind(Owner::random()?.as_bytes().to_vec()),
            Columns::Plain => insert,
        };
        let inserted = insert
            .execute(&self.pool)
            .await
            .map_err(|error| self.fault("mark the event as processed", error))?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn statements(&self) -> Result<&Statements, Error> {
        match self.table.full.get().or_else(|| self.table.plain.get()) {
            Some(statements) => Ok(statements),
            None => self.current_statements().await,
        }
    }

    /// Those for the table as it is now: a plain one is looked at again.
    async fn current_statements(&self) -> Result<&Statements, Error> {
        if let Some(statements) = self.table.full.get() {
            return Ok(statements);
        }
        let columns = fault::columns_of(&self.table.name, &self.columns().await?)?;
        let written = match columns {
            Columns::Plain => &self.table.plain,
            Columns::Full => &self.table.full,
        };
        Ok(written.get_or_init(|| Statements::new(&self.table.name, columns)))
    }

    async fn columns(&self) -> Result<Vec<String>, Error> {
        sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
            .bind(self.table.name.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.fault("look at the table's columns", error))
    }

    fn fault(&self, operation: &'static str, error: sqlx::Error) -> Error {
        fault::explain(operation, &self.table.name, error)
    }
}

impl Table {
    fn new(name: TableName) -> Self {
        Self {
            name,
            plain: OnceLock::new(),
            full: OnceLock::new(),
            claim_statements: OnceLock::new(),
            in_flight: transaction::InFlight::default(),
        }
    }
}

impl Statements {
    fn new(table: &TableName, columns: Columns) -> Self {
        let (insert, look, delete_page) = match columns {
            Columns::Full => (INSERT, claim::LOOK, DELETE_PAGE),
            Columns::Plain => (INSERT_PLAIN, LOOK_PLAIN, DELETE_PAGE_PLAIN),
        };
        Self {
            columns,
            insert: table.in_statement(insert).into(),
            look: table.in_statement(look).into(),
            page_end: table.in_statement(PAGE_END).into(),
            delete_page: table.in_statement(delete_page).into(),
        }
    }
}

#[async_trait]
impl ProcessedEventLog for SqliteLog {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        self.mark(EventRef::new(event_id)?).await
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.mark(event).await
    }
}

impl fmt::Debug for SqliteLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SqliteLog").field("table", &self.table.name).finish_non_exhaustive()
    }
}
