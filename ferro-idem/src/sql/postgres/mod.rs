//! PostgreSQL.

mod claims;
mod columns;
pub(crate) mod deadline;
mod events;
mod fault;
mod owned;
mod pooler;
mod query;
mod replies;
mod statement;

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row};

use self::events::Events;
use self::owned::{changed, found, verified};
use super::columns::{FoundColumn, SchemaLevel, Traps};
use super::dialect::{Dialect, sealed};
use super::event_state::{
    ClaimStep, Claimed, EventState, HeldClaim, Mark, NewClaim, PURGE_PAGE, PageEnd, are_in,
};
use super::fault::Fault;
use super::on_sqlx::requests;
use super::table::TableName;
use super::table_check::TableText;
use super::{SqlLog, SqlTransaction};
use crate::event_table::postgres;
use crate::event_table::postgres::replies::ReplyStatements;
use crate::event_table::postgres::statements::Statements;
#[cfg(feature = "inbox")]
pub(crate) use crate::event_table::postgres::statements::bounded;
use crate::owner::Owner;
use crate::retry::{ANSWER_WITHIN, Attempt};

/// A log in a PostgreSQL database.
///
/// The durability of a mark depends on the database's settings. With `synchronous_commit` on (the default),
/// an acknowledged mark survives a crash of the server. It survives a failover only if the standby is
/// synchronous (<https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT>).
/// With `synchronous_standby_names` set, duplicates wait for the standby as well: after a crash of the primary, a mark
/// can be visible there that the standby does not have, so each statement writes a small message to the WAL
/// (`pg_logical_emit_message`). Without a standby, nothing is written.
/// TLS is the application's choice of sqlx's features.
///
/// # Transactions
///
/// While a transaction is open, a second delivery of its event gets "in progress" at once: it tries an
/// advisory lock without waiting, so no connection of the pool waits for the body of another delivery. Under
/// REPEATABLE READ and SERIALIZABLE, a mark that meets another transaction's begins again.
///
/// One event under several guarantees: a fence or a claim of an event whose *transaction* is open waits for
/// its end. If that takes more than some seconds, it is an [`Error::Store`](crate::Error::Store).
///
/// # The table
///
/// `PostgresLog::SCHEMA`, for your own migrations; [`schema`](SqlLog::schema) is the same for another table's name:
///
#[doc = concat!("```sql\n", include_str!("schema.sql"), "```")]
///
/// # Upgrade
///
/// `PostgresLog::UPGRADE`, for a plain table:
///
#[doc = concat!("```sql\n", include_str!("upgrade.sql"), "```")]
///
/// `PostgresLog::UPGRADE` rewrites no row. Each statement locks the table for a moment. It waits for open
/// transactions that use the table, such as that of a long body under `transaction(tx)`, and every mark waits
/// for it meanwhile. Run `SET lock_timeout = '1s'` in the same session, so that it gives up (55P03), and
/// repeat the statements that gave up.
///
/// ```no_run
/// # use ferro_idem::{Error, PostgresLog, ProcessedEventLog};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = sqlx::PgPool::connect("postgres://app@localhost/shop").await?;
/// let log = PostgresLog::new(pool);
/// log.create_table().await?; // in production: a migration with `PostgresLog::SCHEMA`
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # Ok(()) }
/// ```
pub type PostgresLog = SqlLog<Postgres>;

/// An open transaction of [`PostgresLog`]; derefs to the connection. Dropping it rolls back.
pub type PostgresTransaction = SqlTransaction<Postgres>;

impl sealed::Sealed for Postgres {}

/// What looks for many rows, and is not sent all the time, is planned anew each time: the server would keep a plan that
/// it made for a nearly empty table, and read the whole table for each batch when that has grown.
const PLANNED_ONCE: bool = false;

impl Dialect for Postgres {
    const TABLE: &'static TableText = &postgres::TEXT;
    const ANSWERS_WITHIN: Option<Duration> = Some(ANSWER_WITHIN);
    const SERVER_DEADLINE: Duration = ANSWER_WITHIN.saturating_mul(2);
    const POOLER: &'static str = postgres::fault::POOLER;

    async fn session_of(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
        // In one message, which no pooler takes apart.
        sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
    }

    const QUOTE: char = postgres::QUOTE;

    type Statements = Statements;

    fn statements(_: &PgPool, table: &TableName, level: SchemaLevel, traps: &Traps) -> Statements {
        Statements::new(table, level, traps)
    }

    fn reply_statements(statements: &Statements) -> &ReplyStatements {
        &statements.replies
    }

    async fn run(connection: &mut PgConnection, statements: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map(drop)
    }

    async fn look_at_table(
        connection: &mut PgConnection,
        table: &TableName,
    ) -> Result<Vec<FoundColumn>, sqlx::Error> {
        columns::of(connection, table).await
    }

    async fn look_for_traps(connection: &mut PgConnection, table: &TableName) -> Result<Traps, sqlx::Error> {
        columns::traps(connection, table).await
    }

    async fn columns_without_default(
        connection: &mut PgConnection,
        table: &TableName,
    ) -> Result<Vec<String>, sqlx::Error> {
        columns::without_default(connection, table).await
    }

    async fn mark(
        connection: &mut PgConnection,
        statements: &Statements,
        marks: &[&Mark],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let deadline = deadline::of(connection, &statements.clock).await?;
        if let ([mark], Attempt::First) = (marks, attempt) {
            let insert = statements.query(&statements.mark_one).bind(deadline);
            let insert = insert.bind(&*mark.id).bind(&*mark.event_type).bind(uuid(mark.owner));
            let inserted = deadline::checked(insert.execute(&mut *connection).await, &statements.clock)?;
            return verified(connection, statements, marks, vec![inserted.rows_affected() == 1]).await;
        }
        let text = if attempt == Attempt::Retry { &statements.mark_again } else { &statements.mark };
        let events = Events::of(marks.iter().copied());
        let marked = statements
            .scalar(text)
            .bind(deadline)
            .bind(&events.ids)
            .bind(&events.types)
            .bind(&events.owners)
            .fetch_all(&mut *connection)
            .await;
        let marked: Vec<String> = deadline::checked(marked, &statements.clock)?;
        verified(connection, statements, marks, are_in(&marked, events.ids.into_iter())).await
    }

    async fn claim(
        connection: &mut PgConnection,
        statements: &Statements,
        claims: &[&NewClaim],
        attempt: Attempt,
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        let claimed = claims::claim(connection, statements, claims, attempt).await?;
        found(connection, statements, claims, claimed).await
    }

    async fn look(
        connection: &mut PgConnection,
        statements: &Statements,
        ids: &[&str],
    ) -> Result<Vec<EventState>, sqlx::Error> {
        let rows = sqlx::query(AssertSqlSafe(statements.look.clone()))
            .persistent(statements.persists)
            .bind(ids)
            .fetch_all(connection)
            .await?;
        if let Some(row) = rows.first() {
            statements.has_standby.store(row.try_get(3)?, Ordering::Relaxed);
        }
        let row = |row: &PgRow| Ok((row.try_get::<String, _>(0)?, row.try_get(1)?, row.try_get(2)?));
        EventState::in_order(ids, rows.iter().map(row))
    }

    async fn update_claims(
        connection: &mut PgConnection,
        statements: &Statements,
        step: ClaimStep,
        held: &[&HeldClaim],
        attempt: Attempt,
    ) -> Result<Vec<bool>, sqlx::Error> {
        let deadline = deadline::of(connection, &statements.clock).await?;
        let [for_one, for_many] = statements.update_claims(step);
        if let ([one], Attempt::First) = (held, attempt) {
            let update =
                statements.query(for_one).bind(deadline).bind(&*one.id).bind(uuid(one.owner)).bind(one.token);
            let update = match step {
                ClaimStep::Renew => update.bind(one.lease_millis),
                ClaimStep::CompleteWithReply => update.bind(one.reply.keep_millis).bind(&*one.reply.bytes),
                ClaimStep::Complete | ClaimStep::Release | ClaimStep::Withdraw => update,
            };
            let updated = deadline::checked(update.execute(&mut *connection).await, &statements.clock)?;
            return changed(connection, statements, step, held, vec![updated.rows_affected() == 1]).await;
        }
        let ids: Vec<&str> = held.iter().map(|one| &*one.id).collect();
        let update = statements
            .scalar(for_many)
            .bind(deadline)
            .bind(&ids)
            .bind(held.iter().map(|one| uuid(one.owner)).collect::<Vec<_>>())
            .bind(held.iter().map(|one| one.token).collect::<Vec<_>>());
        let update = match step {
            ClaimStep::Renew => update.bind(held.iter().map(|one| one.lease_millis).collect::<Vec<_>>()),
            ClaimStep::CompleteWithReply => update
                .bind(held.iter().map(|one| one.reply.keep_millis).collect::<Vec<_>>())
                .bind(held.iter().map(|one| &*one.reply.bytes).collect::<Vec<&[u8]>>()),
            ClaimStep::Complete | ClaimStep::Release | ClaimStep::Withdraw => update,
        };
        let settled: Vec<String> =
            deadline::checked(update.fetch_all(&mut *connection).await, &statements.clock)?;
        changed(connection, statements, step, held, are_in(&settled, ids.into_iter())).await
    }

    async fn purge_page(
        connection: &mut PgConnection,
        statements: &Statements,
        after: &PageEnd,
        older_than: i64,
    ) -> Result<Option<(PageEnd, u64)>, sqlx::Error> {
        let after = String::from_utf8_lossy(after);
        let end: Option<String> = statements
            .scalar(&statements.page_end)
            .bind(&*after)
            .bind(PURGE_PAGE)
            .fetch_one(&mut *connection)
            .await?;
        let Some(end) = end else { return Ok(None) };
        let page = statements
            .query(&statements.delete_page)
            .bind(&*after)
            .bind(&end)
            .bind(older_than)
            .execute(connection)
            .await?;
        Ok(Some((end.into_bytes(), page.rows_affected())))
    }

    requests!(PgConnection, statement::query, statement::value);

    async fn unmark(
        connection: &mut PgConnection,
        statements: &Statements,
        marks: &[&Mark],
    ) -> Result<(), sqlx::Error> {
        let events = Events::of(marks.iter().copied());
        let unmark = sqlx::query(AssertSqlSafe(statements.unmark.clone())).persistent(PLANNED_ONCE);
        unmark.bind(&events.ids).bind(&events.owners).execute(connection).await.map(drop)
    }

    const BEGIN: &'static str = "BEGIN";

    fn explain(refusal: &dyn sqlx::error::DatabaseError, table: &TableName) -> Fault {
        fault::explain(refusal, table)
    }
}

/// Of the fence that a claim returned.
pub(crate) fn uuid(owner: Owner) -> Uuid {
    Uuid::from_bytes(*owner.as_bytes())
}
