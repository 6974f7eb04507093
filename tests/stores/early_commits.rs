//! A body that commits its transaction early, by a statement that does so or by its own COMMIT: it is said, and the
//! event is not lost.

use ferro_idem::{
    ClaimLog, Error, EventRef, MySqlLog, MySqlTransaction, Owner, PostgresLog, PostgresTransaction,
    ProcessedEventLog, SqlDatabase, SqlLog, SqliteLog, SqliteTransaction, TransactionalLog,
    idempotent_webhook,
};
use ferro_idem_tests::servers::{MariaDb, Postgres, until};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlPool, PgPool, SqlitePool};
use std::time::Duration;
use tempfile::TempDir;

const EFFECTS: &str = "CREATE TABLE effects (id VARCHAR(99)); CREATE TABLE cleared (id INT);";

async fn mariadb(schema: &str) -> MySqlPool {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = MySqlPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("{schema}{EFFECTS}"))).execute(&pool).await.unwrap();
    pool
}

async fn postgres(schema: &str) -> PgPool {
    let url = Postgres::shared().await.fresh_database().await;
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("{schema}{EFFECTS}"))).execute(&pool).await.unwrap();
    pool
}

async fn sqlite(folder: &TempDir, schema: &str) -> SqlitePool {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
    let pool = SqlitePoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("{schema}{EFFECTS}"))).execute(&pool).await.unwrap();
    pool
}

/// How the body ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Reply,
    Failure,
    HangUp,
}

macro_rules! handler {
    ($name:ident, $transaction:ty) => {
        #[idempotent_webhook(transaction(tx))]
        async fn $name<L>(log: &L, event: &str, statements: &'static str, end: End) -> Result<(), Error>
        where
            L: TransactionalLog<Transaction = $transaction>,
        {
            let effect = "INSERT INTO effects VALUES ('before')";
            sqlx::raw_sql(effect).execute(&mut *tx).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut *tx).await.unwrap();
            let effect = "INSERT INTO effects VALUES ('after')";
            sqlx::raw_sql(effect).execute(&mut *tx).await.unwrap();
            match end {
                End::Reply => Ok(()),
                End::Failure => Err(Error::in_progress(event, Duration::ZERO)),
                End::HangUp => std::future::pending().await,
            }
        }
    };
}

handler!(on_mariadb, MySqlTransaction);
handler!(on_postgres, PostgresTransaction);
handler!(on_sqlite, SqliteTransaction);

const WORDS: &str = "committed before its end";

/// `$count` is the text of a query that counts effects.
macro_rules! tell {
    ($log:expr, $handler:ident, $statements:expr) => {{
        let (log, statements) = ($log, $statements);
        let count = async || {
            let rows: i64 =
                sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(log.pool()).await.unwrap();
            rows
        };
        // A failure: the mark is taken back, the reply says what happened, and the next delivery runs.
        for _ in 0..2 {
            let before = count().await;
            let failed = $handler(log, "evt_failed", statements, End::Failure).await.unwrap_err();
            let text = failed.to_string();
            assert!(matches!(failed, Error::Store { .. }) && text.contains(WORDS), "{statements}: {text}");
            assert!(count().await > before, "{statements}: the body ran");
        }
        // A success: everything is there, and the reply says that it was not there at once.
        let text = $handler(log, "evt_replied", statements, End::Reply).await.unwrap_err().to_string();
        assert!(text.contains(WORDS), "{statements}: {text}");
        let before = count().await;
        $handler(log, "evt_replied", "SELECT 1", End::Reply).await.unwrap();
        assert_eq!(count().await, before, "{statements}: a duplicate");
        // Without such a statement, nothing is said.
        $handler(log, "evt_plain", "SELECT 1", End::Reply).await.unwrap();
        assert_eq!(count().await, before + 2);
        let failed = $handler(log, "evt_undone", "SELECT 1", End::Failure).await.unwrap_err();
        assert!(matches!(failed, Error::InProgress { .. }), "{failed}");
        assert_eq!(count().await, before + 2);
    }};
}

/// A hang-up after an early commit: the mark is taken back in the background.
macro_rules! hang_up {
    ($log:expr, $handler:ident, $statements:expr) => {{
        let (log, statements) = ($log, $statements);
        let hung_up = tokio::time::timeout(
            Duration::from_millis(500),
            $handler(log, "evt_hung_up", statements, End::HangUp),
        );
        assert!(hung_up.await.is_err());
        until("the next delivery runs", || async {
            let before: i64 =
                sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(log.pool()).await.unwrap();
            drop($handler(log, "evt_hung_up", "SELECT 1", End::Reply).await);
            let after: i64 =
                sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(log.pool()).await.unwrap();
            after > before
        })
        .await;
    }};
}

async fn a_claim_is_taken_over<D: SqlDatabase>(log: &SqlLog<D>)
where
    SqlLog<D>: ClaimLog,
{
    let event = EventRef::new("evt_failed").unwrap();
    let owner = Owner::random().unwrap();
    let ferro_idem::ClaimOutcome::Acquired { token } =
        log.claim(event, owner, Duration::from_mins(1)).await.unwrap()
    else {
        panic!("it is new")
    };
    log.release("evt_failed", ferro_idem::Ownership { owner, token }).await.unwrap();
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_statement_of_mariadb_that_commits_is_told_and_loses_no_event() {
    for statements in [
        "TRUNCATE TABLE cleared",
        "CREATE TABLE IF NOT EXISTS made (id INT)",
        "ALTER TABLE cleared ADD COLUMN IF NOT EXISTS note INT",
        "LOCK TABLES effects WRITE; UNLOCK TABLES",
        "COMMIT",
        "COMMIT; START TRANSACTION",
        "SET autocommit = 1; BEGIN",
    ] {
        let log = MySqlLog::new(mariadb(MySqlLog::SCHEMA).await);
        tell!(&log, on_mariadb, statements);
        hang_up!(&log, on_mariadb, statements);
        let log = MySqlLog::new(mariadb(MySqlLog::SCHEMA).await);
        a_claim_is_taken_over(&log).await;
        tell!(&log, on_mariadb, statements);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_body_of_postgres_that_commits_is_told_and_loses_no_event() {
    for statements in ["COMMIT", "COMMIT; BEGIN", "COMMIT; BEGIN; SAVEPOINT ferro_idem", "COMMIT AND CHAIN"] {
        let log = PostgresLog::new(postgres(PostgresLog::SCHEMA).await);
        tell!(&log, on_postgres, statements);
        hang_up!(&log, on_postgres, statements);
        let log = PostgresLog::new(postgres(PostgresLog::SCHEMA).await);
        a_claim_is_taken_over(&log).await;
        tell!(&log, on_postgres, statements);
    }
}

#[tokio::test]
async fn a_body_of_sqlite_that_commits_is_told_and_loses_no_event() {
    for statements in ["COMMIT", "COMMIT; BEGIN", "END; BEGIN IMMEDIATE"] {
        let folder = TempDir::new().unwrap();
        let log = SqliteLog::new(sqlite(&folder, SqliteLog::SCHEMA).await);
        tell!(&log, on_sqlite, statements);
        let folder = TempDir::new().unwrap();
        let log = SqliteLog::new(sqlite(&folder, SqliteLog::SCHEMA).await);
        a_claim_is_taken_over(&log).await;
        tell!(&log, on_sqlite, statements);
    }
}

/// What does not end the transaction is no obstacle.
#[tokio::test]
#[ignore = "needs MariaDB and PostgreSQL: run tests/run"]
async fn savepoints_of_the_body_are_its_own() {
    let statements =
        "SAVEPOINT own; INSERT INTO effects VALUES ('own'); ROLLBACK TO SAVEPOINT own; RELEASE SAVEPOINT own";
    let log = MySqlLog::new(mariadb(MySqlLog::SCHEMA).await);
    on_mariadb(&log, "evt_1", statements, End::Reply).await.unwrap();
    let log = PostgresLog::new(postgres(PostgresLog::SCHEMA).await);
    on_postgres(&log, "evt_1", statements, End::Reply).await.unwrap();
    let folder = TempDir::new().unwrap();
    let log = SqliteLog::new(sqlite(&folder, SqliteLog::SCHEMA).await);
    on_sqlite(&log, "evt_1", statements, End::Reply).await.unwrap();
    let mut transaction = log.begin().await.unwrap();
    let event = EventRef::new("evt_2").unwrap();
    assert_eq!(log.try_mark_in(&mut transaction, event).await.unwrap(), ferro_idem::MarkOutcome::First);
    transaction.begin().await.unwrap().commit().await.unwrap();
    SqliteLog::commit(transaction).await.unwrap();
    assert!(!log.try_mark_processed("evt_2").await.unwrap());
}

/// The rows of a plain table do not tell who made them, so the mark stays, and the reply says so.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn on_a_plain_table_an_early_commit_names_the_row_that_stays() {
    let plain = "CREATE TABLE stripe_processed_events (event_id VARBINARY(255) PRIMARY KEY, event_type VARCHAR(255) NOT NULL,
        received_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB;";
    let log = MySqlLog::new(mariadb(plain).await);
    let failed =
        on_mariadb(&log, "evt_1", "TRUNCATE TABLE cleared", End::Failure).await.unwrap_err().to_string();
    assert!(failed.contains(WORDS) && failed.contains("delete the event's row"), "{failed}");
}
