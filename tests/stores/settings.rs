//! Settings of sessions and servers that break a promise, and tables that are not what their name says.

use std::time::Duration;

use ferro_idem::{
    EventRef, MarkOutcome, MySqlLog, PostgresLog, ProcessedEventLog, RETENTION, SqliteLog, TransactionalLog,
};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Connection, MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;
use tokio::time::timeout;

/// A pool whose sessions run a statement first.
async fn postgres(url: &str, statement: &'static str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(statement).execute(connection).await.map(drop) })
    });
    pool.connect(url).await.unwrap()
}

async fn fresh_postgres() -> String {
    let url = Postgres::shared().await.fresh_database().await;
    PostgresLog::new(postgres(&url, "").await).create_table().await.unwrap();
    url
}

async fn mariadb(url: &str, statement: &'static str) -> MySqlPool {
    let pool = MySqlPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(statement).execute(connection).await.map(drop) })
    });
    pool.connect(url).await.unwrap()
}

async fn fresh_mariadb() -> String {
    let url = MariaDb::shared().await.fresh_database().await;
    MySqlLog::new(mariadb(&url, "DO 0").await).create_table().await.unwrap();
    url
}

async fn sqlite(folder: &TempDir, statement: &'static str) -> SqlitePool {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
    let pool = SqlitePoolOptions::new().max_connections(2).after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(statement).execute(connection).await.map(drop) })
    });
    pool.connect(&url).await.unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_read_only_postgres_session_says_which_setting() {
    let url = fresh_postgres().await;
    for statement in
        ["SET default_transaction_read_only = on", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"]
    {
        let log = PostgresLog::new(postgres(&url, statement).await);
        for refused in [log.try_mark_processed("evt_1").await.map(drop), log.check().await] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("default_transaction_read_only"), "{statement}: {refused}");
        }
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_read_only_mariadb_session_says_which_setting() {
    let url = fresh_mariadb().await;
    let log = MySqlLog::new(mariadb(&url, "SET SESSION TRANSACTION READ ONLY").await);
    for refused in [log.try_mark_processed("evt_1").await.map(drop), log.check().await] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("TRANSACTION READ ONLY"), "{refused}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_check_names_a_commit_that_does_not_wait_for_the_disk() {
    let url = fresh_postgres().await;
    let log = PostgresLog::new(postgres(&url, "SET synchronous_commit = off").await);
    let refused = log.check().await.unwrap_err().to_string();
    assert!(refused.contains("`synchronous_commit`"), "{refused}");
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "the application may want it so");
    PostgresLog::new(postgres(&url, "SET synchronous_commit = local").await).check().await.unwrap();
}

#[tokio::test]
async fn a_check_names_pragmas_that_lose_marks_in_a_crash() {
    for (statement, name) in [
        ("PRAGMA synchronous = OFF", "`synchronous`"),
        ("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", "`synchronous`"),
        ("PRAGMA journal_mode = MEMORY", "`journal_mode`"),
    ] {
        let folder = TempDir::new().unwrap();
        let log = SqliteLog::new(sqlite(&folder, statement).await);
        log.create_table().await.unwrap();
        let refused = log.check().await.expect_err(statement).to_string();
        assert!(refused.contains(name), "{statement}: {refused}");
        assert!(log.try_mark_processed("evt_1").await.unwrap());
    }
    let folder = TempDir::new().unwrap();
    let log = SqliteLog::new(sqlite(&folder, "PRAGMA journal_mode = OFF").await);
    log.create_table().await.unwrap();
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("`journal_mode`"), "nothing can be rolled back: {refused}");
    SqliteLog::open(folder.path().join("own.db")).await.unwrap().check().await.unwrap();
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn sessions_that_leave_marks_uncommitted_or_keys_unchecked_are_refused() {
    let url = fresh_mariadb().await;
    for (statement, name) in [
        ("SET completion_type = CHAIN", "completion_type"),
        ("SET completion_type = 'RELEASE'", "completion_type"),
        ("SET unique_checks = 0", "unique_checks"),
        ("SET sql_select_limit = 1", "sql_select_limit"),
    ] {
        let log = MySqlLog::new(mariadb(&url, statement).await);
        let refused = log.try_mark_processed("evt_1").await.expect_err(statement).to_string();
        assert!(refused.contains(name), "{statement}: {refused}");
        assert!(log.check().await.unwrap_err().to_string().contains(name));
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn unusual_sessions_change_no_answer() {
    let url = fresh_mariadb().await;
    for (number, statement) in [
        "SET sql_mode = ''",
        "SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,SIMULTANEOUS_ASSIGNMENT'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET sql_safe_updates = 1",
        "SET time_zone = '+13:00'",
    ]
    .into_iter()
    .enumerate()
    {
        let log = MySqlLog::new(mariadb(&url, statement).await);
        let ids: Vec<String> = (0..8).map(|event| format!("evt_{number}_{event}")).collect();
        for is_first in [true, false] {
            let marks = ids.iter().map(|id| log.try_mark_processed(id));
            for marked in futures_util::future::join_all(marks).await {
                assert_eq!(marked.expect(statement), is_first, "{statement}");
            }
        }
        assert_eq!(log.purge(RETENTION).await.expect(statement), 0, "{statement}");
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_temporary_table_is_refused_on_every_database() {
    let url = fresh_mariadb().await;
    let statement = "CREATE TEMPORARY TABLE stripe_processed_events (event_id VARBINARY(255) PRIMARY KEY, event_type TEXT)";
    let log = MySqlLog::new(mariadb(&url, statement).await);
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("temporary"), "{refused}");

    let folder = TempDir::new().unwrap();
    SqliteLog::new(sqlite(&folder, "").await).create_table().await.unwrap();
    let statement = "CREATE TEMP TABLE Stripe_Processed_Events (event_id TEXT PRIMARY KEY, event_type TEXT)";
    let log = SqliteLog::new(sqlite(&folder, statement).await);
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("temporary"), "{refused}");
    let log = SqliteLog::new(sqlite(&folder, "").await).with_schema("temp").unwrap();
    log.create_table().await.unwrap();
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("temporary"), "{refused}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_temporary_table_of_postgres_is_refused() {
    let url = fresh_postgres().await;
    let statement = "CREATE TEMP TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type TEXT)";
    let log = PostgresLog::new(postgres(&url, statement).await);
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("temporary"), "{refused}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_purge_of_times_that_are_not_times_is_refused() {
    let url = Postgres::shared().await.fresh_database().await;
    let pool = postgres(&url, "").await;
    for (number, (kind, old, purges)) in [
        ("TEXT", "'2020-01-01'", false),
        ("VARCHAR(40)", "'2020-01-01'", false),
        ("BIGINT", "1577836800", false),
        ("DOUBLE PRECISION", "1577836800", false),
        ("DATE", "'2020-01-01'", true),
        ("TIMESTAMP", "'2020-01-01'", true),
        ("TIMESTAMPTZ", "'2020-01-01'", true),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("events_{number}");
        let statements = format!(
            "CREATE TABLE {table} (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, received_at {kind});
             INSERT INTO {table} VALUES ('old', '', {old})"
        );
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap();
        let purged = PostgresLog::new(pool.clone()).with_table(&table).unwrap().purge(RETENTION).await;
        match purged {
            Ok(count) => assert!(purges && count == 1, "{kind}: {count}"),
            Err(error) => assert!(!purges && error.to_string().contains("`received_at`"), "{kind}: {error}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_purge_of_mariadb_reads_dates_and_refuses_the_rest() {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = mariadb(&url, "DO 0").await;
    for (number, (kind, old, purges)) in [
        ("TEXT", "'2020-01-01'", false),
        ("VARCHAR(40)", "'2020-01-01'", false),
        ("INT", "1577836800", false),
        ("DECIMAL(20,6)", "20200101000000", false),
        ("TIME", "'10:00:00'", false),
        ("YEAR", "2020", false),
        ("DATE", "'2020-01-01'", true),
        ("DATETIME(6)", "'2020-01-01'", true),
        ("TIMESTAMP NULL", "'2020-01-01'", true),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("events_{number}");
        let statements = format!(
            "CREATE TABLE {table} (event_id VARBINARY(255) PRIMARY KEY, event_type TEXT NOT NULL, Received_At {kind});
             INSERT INTO {table} VALUES ('old', '', {old})"
        );
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap();
        let purged = MySqlLog::new(pool.clone()).with_table(&table).unwrap().purge(RETENTION).await;
        match purged {
            Ok(count) => assert!(purges && count == 1, "{kind}: {count}"),
            Err(error) => assert!(!purges && error.to_string().contains("`received_at`"), "{kind}: {error}"),
        }
    }
}

/// One event of two services, whose tables have one name, in transactions at once.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn tables_of_one_name_in_two_databases_do_not_share_locks() {
    let server = MariaDb::shared().await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let log = MySqlLog::new(mariadb(&server.fresh_database().await, "DO 0").await);
        log.create_table().await.unwrap();
        let mut transaction = log.begin().await.unwrap();
        let marked = log.try_mark_in(&mut transaction, EventRef::new("evt_1").unwrap()).await.unwrap();
        assert_eq!(marked, MarkOutcome::First);
        open.push(transaction);
    }
    for transaction in open {
        MySqlLog::commit(transaction).await.unwrap();
    }
}

#[tokio::test]
async fn databases_in_memory_do_not_share_locks() {
    let mut open = Vec::new();
    for _ in 0..2 {
        let options =
            SqliteConnectOptions::new().filename(":memory:").journal_mode(SqliteJournalMode::Memory);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let log = SqliteLog::new(pool);
        log.create_table().await.unwrap();
        log.check().await.unwrap();
        let mut transaction = log.begin().await.unwrap();
        let marked = log.try_mark_in(&mut transaction, EventRef::new("evt_1").unwrap()).await.unwrap();
        assert_eq!(marked, MarkOutcome::First);
        open.push(transaction);
    }
    for transaction in open {
        SqliteLog::commit(transaction).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn creating_the_table_without_the_right_says_what_to_grant() {
    let url = Postgres::shared().await.fresh_database().await;
    let mut admin = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("DROP ROLE IF EXISTS nobody; CREATE ROLE nobody LOGIN").execute(&mut admin).await.unwrap();
    let log = PostgresLog::new(postgres(&url.replace("postgres@", "nobody@"), "").await);
    let refused = log.create_table().await.unwrap_err().to_string();
    assert!(refused.contains("CREATE") && !refused.contains("GRANT SELECT"), "{refused}");

    let server = MariaDb::shared().await;
    let url = server.fresh_database().await;
    let admin = mariadb(&url, "DO 0").await;
    let database = url.rsplit('/').next().unwrap();
    let grants =
        format!("CREATE OR REPLACE USER nobody@'%'; GRANT SELECT, INSERT ON {database}.* TO nobody@'%'");
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&admin).await.unwrap();
    let log = MySqlLog::new(mariadb(&url.replace("root@", "nobody@"), "DO 0").await);
    let refused = log.create_table().await.unwrap_err().to_string();
    assert!(refused.contains("CREATE") && !refused.contains("GRANT SELECT"), "{refused}");
}

/// A read-only session must not hold a call for longer than any other fault.
#[tokio::test]
async fn a_read_only_sqlite_session_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    SqliteLog::new(sqlite(&folder, "").await).create_table().await.unwrap();
    let log = SqliteLog::new(sqlite(&folder, "PRAGMA query_only = ON").await);
    let marked = timeout(Duration::from_secs(5), log.try_mark_processed("evt_1")).await.expect("at once");
    let refused = marked.unwrap_err().to_string();
    assert!(refused.contains("read-only") && refused.contains("query_only"), "{refused}");
}
