//! MySQL and MariaDB.

mod claim_updates;
mod columns;
pub(crate) mod deadline;
pub(crate) mod fault;
mod insert;
mod isolation;
mod owned;
mod purge;
mod replies;

use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, MySql, MySqlPool, Row};

use self::insert::insert;
pub(crate) use self::isolation::begin_read_committed;
use self::owned::owners_after;
use super::columns::{FoundColumn, SchemaLevel, Traps};
use super::dialect::{Dialect, sealed};
use super::event_state::{ClaimStep, Claimed, EventState, HeldClaim, Mark, NewClaim, PageEnd, token_of};
use super::fault::{Fault, NotRead};
use super::on_sqlx::{OnSqlx, query, requests, value};
use super::table::TableName;
use super::table_check::TableText;
use super::{SqlLog, SqlTransaction};
use crate::event_table::mysql;
use crate::event_table::mysql::replies::ReplyStatements;
use crate::event_table::mysql::statements::Statements;
#[cfg(feature = "inbox")]
pub(crate) use crate::event_table::mysql::statements::patient;
use crate::owner::Owner;
use crate::retry::{ANSWER_WITHIN, Attempt};

/// A log in a MySQL or MariaDB database.
///
/// The durability of a mark depends on the server's settings. With `innodb_flush_log_at_trx_commit = 1` (the
/// default), an acknowledged mark survives a crash of the machine
/// (<https://mariadb.com/docs/server/server-usage/storage-engines/innodb/innodb-system-variables>). TLS is
/// the application's choice of sqlx's features.
///
/// `InnoDB` shows a commit to other sessions a moment before it is in the log. If the server is killed in that moment,
/// the commit is gone, and the call that made it gets no answer and marks the event again. But a duplicate may have
/// been answered from it. If that call's process dies as well, the event does not come again.
///
/// In a Galera cluster, a mark survives the loss of the node that made it, and every node may take writes: two marks of
/// one event on two nodes meet at the commit, where one of them gets an error (1213) and is sent again
/// (<https://galeracluster.com/library/documentation/certification-based-replication.html>).
///
/// A semi-synchronous replica has the marks that were acknowledged, as long as the primary never goes on without it
/// (`rpl_semi_sync_master_timeout`). A duplicate does not wait for the replica: after a crash of the primary while the
/// replica was away, it can be answered from a mark that a failover loses.
///
/// # The table
///
#[doc = concat!("```sql\n", include_str!("schema.sql"), "```")]
///
/// `event_id` is `VARBINARY(255)`: text is compared without case, accents and trailing spaces under most
/// collations, and without trailing spaces under nearly all, so that a real event would be taken for a
/// duplicate. A table whose `event_id` is text, or too short for every id (a server that is not strict cuts
/// what is too long), is refused, with the statement that fixes it. A table of an engine without transactions
/// (`MyISAM`, `Aria`) is refused as well, because it keeps the mark of a delivery that was rolled back.
///
/// # Transactions
///
/// A second delivery of an event whose transaction is open is told so at once on MariaDB (tested on 10.11), and
/// after a second on Percona Server. MySQL itself has no lock timeout for one statement: there, such a delivery
/// waits for up to 2 seconds, and is then [`Error::Store`](crate::Error::Store), a 503.
///
/// A deadlock in the body rolls the whole transaction back, and what the body writes after that is committed
/// at once. So return the error. If a body ignores it, the delivery is answered with
/// [`Error::Store`](crate::Error::Store).
///
/// TRUNCATE, LOCK TABLES, CREATE, ALTER and other DDL commit by themselves: keep them out of the body. A body that ends
/// its transaction is answered with [`Error::Store`](crate::Error::Store). If its reply is a failure, a part of its
/// effects stays, and the mark is taken back.
///
/// One event under several guarantees: a fence or a claim of an event whose *transaction* is open waits for
/// its end. If that takes more than some seconds, it is an [`Error::Store`](crate::Error::Store).
///
/// # Upgrade
///
/// `MySqlLog::UPGRADE`, for a plain table:
///
#[doc = concat!("```sql\n", include_str!("upgrade.sql"), "```")]
///
/// `MySqlLog::UPGRADE` rewrites no row (`ALGORITHM=INSTANT`, from MariaDB 10.3 and MySQL 8.0.12 on). On a
/// table that cannot be changed like that, a statement copies it while marks wait: with `, ALGORITHM=INSTANT`
/// at its end it fails instead. A statement waits for open transactions that use the table, such as that of a
/// long body under `transaction(tx)`, and every mark waits for it meanwhile. Run `SET lock_wait_timeout = 1`
/// in the same session, so that it gives up (1205), and repeat the statements that gave up.
///
/// ```no_run
/// # use ferro_idem::{Error, MySqlLog, ProcessedEventLog};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = sqlx::MySqlPool::connect("mysql://app@localhost/shop").await?;
/// let log = MySqlLog::new(pool);
/// log.create_table().await?; // in production: a migration with `MySqlLog::SCHEMA`
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # Ok(()) }
/// ```
pub type MySqlLog = SqlLog<MySql>;

/// An open transaction of [`MySqlLog`]; derefs to the connection. Dropping it rolls back.
pub type MySqlTransaction = SqlTransaction<MySql>;

impl sealed::Sealed for MySql {}

impl Dialect for MySql {
    const TABLE: &'static TableText = &mysql::TEXT;
    const ANSWERS_WITHIN: Option<Duration> = Some(ANSWER_WITHIN);
    const SERVER_DEADLINE: Duration = ANSWER_WITHIN.saturating_mul(2);
    const QUOTE: char = mysql::QUOTE;

    type Statements = Statements;

    fn statements(_: &MySqlPool, table: &TableName, level: SchemaLevel, traps: &Traps) -> Statements {
        Statements::new(table, level, traps.verifies)
    }

    fn reply_statements(statements: &Statements) -> &ReplyStatements {
        &statements.replies
    }

    async fn run(connection: &mut MySqlConnection, statements: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map(drop)
    }

    async fn look_at_table(
        connection: &mut MySqlConnection,
        table: &TableName,
    ) -> Result<Vec<FoundColumn>, sqlx::Error> {
        columns::of(connection, table).await
    }

    async fn look_for_traps(
        connection: &mut MySqlConnection,
        table: &TableName,
    ) -> Result<Traps, sqlx::Error> {
        columns::traps(connection, table).await
    }

    async fn columns_without_default(
        connection: &mut MySqlConnection,
        table: &TableName,
    ) -> Result<Vec<String>, sqlx::Error> {
        columns::without_default(connection, table).await
    }

    async fn mark(
        connection: &mut MySqlConnection,
        statements: &Statements,
        marks: &[&Mark],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let deadline = deadline::of(connection, &statements.clock).await?;
        if let ([mark], Attempt::First) = (marks, attempt) {
            let inserted = insert(connection, statements, deadline, mark).await;
            return match deadline::checked(inserted, &statements.clock) {
                Ok(()) => {
                    let verified = statements.verified(&mut OnSqlx::<Self>(connection), mark, true).await;
                    Ok(vec![verified.map_err(NotRead::of)?])
                }
                Err(error) if fault::is_duplicate(&error) => {
                    Ok(vec![statements.verified(&mut OnSqlx::<Self>(connection), mark, false).await?])
                }
                Err(error) => Err(error),
            };
        }
        let (text, rows) = match attempt {
            Attempt::First => statements.mark.with(marks),
            Attempt::Retry => statements.mark_again.with(marks),
        };
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for mark in rows {
            insert = insert.bind(deadline);
            insert = insert.bind(mark.id.as_bytes()).bind(&*mark.event_type).bind(bytes(mark.owner));
        }
        let returned = deadline::checked(insert.fetch_all(&mut *connection).await, &statements.clock)?;
        let ids = marks.iter().map(|mark| &*mark.id);
        let owners = owners_after(connection, statements, &returned, ids).await?;
        // An event without a row is neither new nor a duplicate: it was deleted meanwhile, or was kept out.
        let is_own = |mark: &&Mark| {
            owners.get(&*mark.id).map(|row| row.is_of(mark.owner)).ok_or(sqlx::Error::RowNotFound)
        };
        marks.iter().map(is_own).collect()
    }

    async fn claim(
        connection: &mut MySqlConnection,
        statements: &Statements,
        claims: &[&NewClaim],
        _: Attempt,
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        let deadline = deadline::of(connection, &statements.clock).await?;
        let reads_replies = claims.iter().any(|claim| claim.reads_reply);
        let (text, rows) = statements.claims(reads_replies).with(claims);
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for claim in rows {
            insert = insert
                .bind(deadline)
                .bind(claim.mark.id.as_bytes())
                .bind(&*claim.mark.event_type)
                .bind(bytes(claim.mark.owner))
                .bind(micros(claim.lease_millis));
        }
        let returned = deadline::checked(insert.fetch_all(&mut *connection).await, &statements.clock)?;
        let ids = claims.iter().map(|claim| &*claim.mark.id);
        let owners = owners_after(connection, statements, &returned, ids).await?;
        if statements.verifies && owners.len() < claims.len() {
            return Err(sqlx::Error::RowNotFound);
        }
        let claimed = |claim: &&NewClaim| match owners.get(&*claim.mark.id) {
            Some(row) if row.state == CLAIMED && row.is_of(claim.mark.owner) => {
                Claimed::Acquired { token: token_of(row.token) }
            }
            Some(row) if row.state == PROCESSED => Claimed::Processed(row.reply.clone()),
            _ => Claimed::Unknown,
        };
        Ok(claims.iter().map(claimed).collect())
    }

    async fn look(
        connection: &mut MySqlConnection,
        statements: &Statements,
        ids: &[&str],
    ) -> Result<Vec<EventState>, sqlx::Error> {
        let (text, rows) = statements.look.with(ids);
        let mut look = sqlx::query(AssertSqlSafe(text));
        for id in rows {
            look = look.bind(id.as_bytes());
        }
        let rows = look.fetch_all(connection).await?;
        let row = |row: &MySqlRow| Ok((row.try_get::<Vec<u8>, _>(0)?, row.try_get(1)?, row.try_get(2)?));
        EventState::in_order(ids, rows.iter().map(row))
    }

    async fn update_claims(
        connection: &mut MySqlConnection,
        statements: &Statements,
        step: ClaimStep,
        held: &[&HeldClaim],
        _: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        claim_updates::update(connection, statements, step, held).await
    }

    async fn purge_page(
        connection: &mut MySqlConnection,
        statements: &Statements,
        after: &PageEnd,
        older_than: i64,
    ) -> Result<Option<(PageEnd, u64)>, sqlx::Error> {
        purge::page(connection, statements, after, older_than).await
    }

    requests!(MySqlConnection, query::<MySql>, value::<MySql>);

    async fn unmark(
        connection: &mut MySqlConnection,
        statements: &Statements,
        marks: &[&Mark],
    ) -> Result<(), sqlx::Error> {
        let (text, rows) = statements.unmark.with(marks);
        let mut unmark = sqlx::query(AssertSqlSafe(text));
        for mark in rows {
            unmark = unmark.bind(mark.id.as_bytes()).bind(bytes(mark.owner));
        }
        unmark.execute(connection).await.map(drop)
    }

    const BEGIN: &'static str = mysql::BEGIN;

    fn explain(refusal: &dyn sqlx::error::DatabaseError, table: &TableName) -> Fault {
        fault::explain(refusal, table)
    }
}

const CLAIMED: i64 = 0;
const PROCESSED: i64 = 1;
const RELEASED: i64 = 2;

fn bytes(owner: Owner) -> Vec<u8> {
    owner.as_bytes().to_vec()
}

pub(crate) fn micros(millis: i64) -> i64 {
    millis.saturating_mul(1_000)
}
