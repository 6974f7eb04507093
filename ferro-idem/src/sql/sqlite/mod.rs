//! SQLite: one writer, no server, no reply that could be lost.

mod columns;
pub(crate) mod ended;
mod fault;
mod open;
pub(crate) mod purge;
mod replies;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqlitePool};

use super::columns::{FoundColumn, SchemaLevel, Traps};
use super::dialect::{Dialect, sealed};
use super::event_state::{
    ClaimStep, Claimed, EventState, HeldClaim, Mark, NewClaim, PageEnd, are_in, token_of,
};
use super::fault::{Fault, NotRead};
use super::on_sqlx::{OnSqlx, query, requests, value};
use super::table::TableName;
use super::table_check::TableText;
use super::{SqlLog, SqlTransaction};
use crate::event_table::sqlite;
use crate::event_table::sqlite::in_flight::InFlight;
use crate::event_table::sqlite::replies::ReplyStatements;
use crate::event_table::sqlite::statements::Statements;
use crate::retry::Attempt;

/// A log in a SQLite database: for one machine, durable, no server.
///
/// Every process that opens the same file shares one fence. A mark is on the disk before it is
/// reported: [`open`](Self::open) sets WAL and `synchronous=FULL`
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>). In a pool of your own, set
/// `synchronous` to `FULL` (sqlx's default), or a power cut can take marks back that were
/// acknowledged; set a `busy_timeout`. A `:memory:` database is one per connection, so a pool over it
/// has to be of one connection.
///
/// # Transactions
///
/// SQLite has one writer. A body under `transaction(tx)` holds the write lock from its mark to its
/// commit: keep it short, and let nothing in it wait for the network. A second delivery of the same
/// event is told at once that the first one is running, if it came to the same process; from another
/// process it waits for the lock, and for no longer than `busy_timeout`.
///
/// The log's and the inbox's writers of one process take turns, because a writer that finds the lock taken sleeps for up
/// to 100 ms, however soon the lock is free. A turn is waited for no longer than 100 ms, and the application's own
/// writers need none.
///
/// # The table
///
/// `SqliteLog::SCHEMA`, for your own migrations; [`schema`](SqlLog::schema) is the same for another table's name:
///
#[doc = concat!("```sql\n", include_str!("schema.sql"), "```")]
///
/// # Upgrade
///
/// `SqliteLog::UPGRADE`, for a plain table:
///
#[doc = concat!("```sql\n", include_str!("upgrade.sql"), "```")]
///
/// SQLite knows no `ADD COLUMN IF NOT EXISTS`: run `SqliteLog::UPGRADE` once. `lease_until` is in
/// milliseconds since 1970.
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
pub type SqliteLog = SqlLog<Sqlite>;

/// An open transaction of [`SqliteLog`]; derefs to the connection. Dropping it rolls back.
pub type SqliteTransaction = SqlTransaction<Sqlite>;

impl SqliteLog {
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
    /// [`Error::Store`](crate::Error::Store), saying what to do, where the folder is missing, the file
    /// is not a database, cannot be written, is locked for longer than 5 seconds, or the SQLite library
    /// has the WAL-reset defect (<https://www.sqlite.org/wal.html#walresetbug>).
    pub async fn open(path: impl AsRef<std::path::Path>) -> Result<Self, crate::Error> {
        open::open(path.as_ref()).await
    }
}

impl sealed::Sealed for Sqlite {}

impl Dialect for Sqlite {
    const TABLE: &'static TableText = &sqlite::TEXT;
    const ANSWERS_WITHIN: Option<Duration> = None;
    /// Nothing is carried out without its caller.
    const SERVER_DEADLINE: Duration = Duration::ZERO;

    fn file_with_one_writer(options: &SqliteConnectOptions) -> Option<&Path> {
        Some(options.get_filename())
    }

    const QUOTE: char = sqlite::QUOTE;
    const RECEIVED: &'static str = sqlite::statements::RECEIVED;

    type Statements = Statements;

    fn statements(pool: &SqlitePool, table: &TableName, level: SchemaLevel, traps: &Traps) -> Statements {
        let in_flight = InFlight::of(pool.connect_options().get_filename(), &table.to_string());
        Statements::new(table, level, in_flight, traps.verifies)
    }

    fn reply_statements(statements: &Statements) -> &ReplyStatements {
        &statements.replies
    }

    async fn run(connection: &mut SqliteConnection, statements: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map(drop)
    }

    async fn look_at_table(
        connection: &mut SqliteConnection,
        table: &TableName,
    ) -> Result<Vec<FoundColumn>, sqlx::Error> {
        columns::of(connection, table).await
    }

    async fn look_for_traps(
        connection: &mut SqliteConnection,
        table: &TableName,
    ) -> Result<Traps, sqlx::Error> {
        columns::traps(connection, table).await
    }

    async fn columns_without_default(
        connection: &mut SqliteConnection,
        table: &TableName,
    ) -> Result<Vec<String>, sqlx::Error> {
        columns::without_default(connection, table).await
    }

    async fn mark(
        connection: &mut SqliteConnection,
        statements: &Statements,
        marks: &[&Mark],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let insert = if attempt == Attempt::Retry { &statements.mark_again } else { &statements.mark };
        let (text, rows) = insert.with(marks);
        let mut insert = sqlx::query_scalar(AssertSqlSafe(text));
        for mark in rows {
            insert = insert.bind(&*mark.id).bind(&*mark.event_type);
            if statements.level == SchemaLevel::Full {
                insert = insert.bind(mark.owner.as_bytes().as_slice());
            }
        }
        let marked: Vec<String> = insert.fetch_all(&mut *connection).await?;
        let marked = are_in(&marked, marks.iter().map(|mark| &*mark.id));
        if !statements.verifies {
            return Ok(marked);
        }
        let mut verified = Vec::with_capacity(marks.len());
        for (mark, is_marked) in marks.iter().zip(marked) {
            let is_own = statements.verified(&mut OnSqlx::<Self>(connection), mark, is_marked).await;
            verified.push(is_own.map_err(NotRead::of)?);
        }
        Ok(verified)
    }

    async fn unmark(
        connection: &mut SqliteConnection,
        statements: &Statements,
        marks: &[&Mark],
    ) -> Result<(), sqlx::Error> {
        let (text, rows) = statements.unmark.with(marks);
        let mut unmark = sqlx::query(AssertSqlSafe(text));
        for mark in rows {
            unmark = unmark.bind(&*mark.id).bind(mark.owner.as_bytes().as_slice());
        }
        unmark.execute(connection).await.map(drop)
    }

    async fn claim(
        connection: &mut SqliteConnection,
        statements: &Statements,
        claims: &[&NewClaim],
        _: Attempt,
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        let (text, rows) = statements.claim.with(claims);
        let mut insert = sqlx::query_as(AssertSqlSafe(text));
        for claim in rows {
            insert = insert
                .bind(&*claim.mark.id)
                .bind(&*claim.mark.event_type)
                .bind(claim.mark.owner.as_bytes().as_slice())
                .bind(claim.lease_millis);
        }
        let claimed: Vec<(String, i64)> = insert.fetch_all(&mut *connection).await?;
        let tokens: HashMap<String, i64> = claimed.into_iter().collect();
        if statements.verifies {
            for claim in claims {
                let is_there = statements.verified(&mut OnSqlx::<Self>(connection), &claim.mark, false).await;
                is_there.map_err(NotRead::of)?;
            }
        }
        let claimed = |claim: &&NewClaim| match tokens.get(&*claim.mark.id) {
            Some(&token) => Claimed::Acquired { token: token_of(token) },
            None => Claimed::Unknown,
        };
        Ok(claims.iter().map(claimed).collect())
    }

    async fn look(
        connection: &mut SqliteConnection,
        statements: &Statements,
        ids: &[&str],
    ) -> Result<Vec<EventState>, sqlx::Error> {
        let (text, rows) = statements.look.with(ids);
        let mut look = sqlx::query(AssertSqlSafe(text));
        for id in rows {
            look = look.bind(id);
        }
        let rows = look.fetch_all(connection).await?;
        let row = |row: &SqliteRow| Ok((row.try_get::<String, _>(0)?, row.try_get(1)?, row.try_get(2)?));
        EventState::in_order(ids, rows.iter().map(row))
    }

    async fn update_claims(
        connection: &mut SqliteConnection,
        statements: &Statements,
        step: ClaimStep,
        held: &[&HeldClaim],
        _: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let (text, rows) = statements.update_claims(step).with_gaps(held);
        let mut update = sqlx::query_scalar(AssertSqlSafe(text));
        for one in rows {
            update = update
                .bind(one.map(|one| &*one.id))
                .bind(one.map(|one| one.owner.as_bytes().as_slice()))
                .bind(one.map(|one| one.token));
            update = match step {
                ClaimStep::CompleteWithReply => {
                    update.bind(one.map(|one| one.reply.keep_millis)).bind(one.map(|one| &*one.reply.bytes))
                }
                _ => update.bind(one.map(|one| one.lease_millis)),
            };
        }
        let settled: Vec<String> = update.fetch_all(&mut *connection).await?;
        let changed = are_in(&settled, held.iter().map(|one| &*one.id));
        if statements.verifies {
            // A claim that was not changed is lost, unless its row is still as it was.
            for (one, _) in held.iter().zip(&changed).filter(|(_, is_changed)| !**is_changed) {
                let state = sqlx::query_scalar(AssertSqlSafe(statements.held.clone()))
                    .bind(&*one.id)
                    .bind(one.owner.as_bytes().as_slice())
                    .bind(one.token);
                let state: Option<i64> = state.fetch_optional(&mut *connection).await.map_err(NotRead::of)?;
                if state.is_some_and(|state| step.changes(state)) {
                    return Err(sqlx::Error::RowNotFound);
                }
            }
        }
        Ok(changed)
    }

    async fn purge_page(
        connection: &mut SqliteConnection,
        statements: &Statements,
        after: &PageEnd,
        older_than: i64,
    ) -> Result<Option<(PageEnd, u64)>, sqlx::Error> {
        purge::page(connection, [&statements.page_end, &statements.delete_page], after, older_than).await
    }

    requests!(SqliteConnection, query::<Sqlite>, value::<Sqlite>);

    const BEGIN: &'static str = "BEGIN";

    async fn forget_ended_transaction(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        ended::forget_ended_transaction(connection).await
    }

    fn explain(refusal: &dyn sqlx::error::DatabaseError, table: &TableName) -> Fault {
        fault::explain(refusal, table)
    }
}
