//! "First" and "duplicate" are both proved, in tables as people have them: a statement whose row is kept out or
//! changed is an error, and neither a duplicate nor a loop.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, EventRef, MarkOutcome, MySqlLog, Owner, PostgresLog, ProcessedEventLog, RETENTION, SqlDatabase,
    SqlLog, SqliteLog, TransactionalLog,
};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, MySqlPool, PgPool};
use tempfile::TempDir;
use tokio::time::timeout;

const LEASE: Duration = Duration::from_mins(1);

/// Longer than a call takes.
const BOUND: Duration = Duration::from_secs(30);

async fn postgres(statements: &str) -> PgPool {
    let url = Postgres::shared().await.fresh_database().await;
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    pool
}

async fn mariadb(server: &MariaDb, statements: &str) -> MySqlPool {
    let url = server.fresh_database().await;
    let pool = MySqlPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    pool
}

/// No guarantee takes an event whose row is kept out for a duplicate, or tries without end.
async fn every_guarantee_refuses<D: SqlDatabase>(log: &SqlLog<D>, can_claim: bool, words: &str)
where
    SqlLog<D>: ClaimLog + TransactionalLog,
{
    let event = EventRef::new("evt_new").unwrap();
    let marked = timeout(BOUND, log.try_mark_processed("evt_new")).await.expect("a bound");
    let refused = marked.unwrap_err().to_string();
    assert!(refused.contains(words), "{refused}");
    if can_claim {
        let claimed =
            timeout(BOUND, log.claim(event, Owner::random().unwrap(), LEASE)).await.expect("a bound");
        let refused = claimed.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let refused = match log.begin().await {
        Ok(mut transaction) => log.try_mark_in(&mut transaction, event).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(refused.contains(words), "{refused}");
}

const SWALLOWING: &str = "
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER swallow BEFORE INSERT ON stripe_processed_events FOR EACH ROW EXECUTE FUNCTION swallow();";

const PLAIN: &str = "CREATE TABLE stripe_processed_events (
    event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, received_at TIMESTAMP NOT NULL DEFAULT now());";

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_trigger_that_swallows_rows_is_refused() {
    for (table, can_claim) in [(PostgresLog::SCHEMA, true), (PLAIN, false)] {
        let pool = postgres(&format!("{table}{SWALLOWING}")).await;
        for log in [PostgresLog::new(pool.clone()), PostgresLog::new(pool).without_group_commit()] {
            every_guarantee_refuses(&log, can_claim, "does not keep the event's row").await;
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_rule_that_swallows_rows_is_refused() {
    let rule = "CREATE RULE swallow AS ON INSERT TO stripe_processed_events WHERE NEW.event_id LIKE '%new' DO INSTEAD NOTHING;";
    let pool = postgres(&format!("{}{rule}", PostgresLog::SCHEMA)).await;
    let marked = PostgresLog::new(pool).try_mark_processed("evt_new").await;
    assert!(marked.is_err(), "{marked:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_trigger_that_keeps_the_row_is_no_obstacle() {
    let harmless = "
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.event_type := ''touched''; RETURN NEW; END';
        CREATE TRIGGER touch BEFORE INSERT ON stripe_processed_events FOR EACH ROW EXECUTE FUNCTION touch();";
    for table in [PostgresLog::SCHEMA, PLAIN] {
        let log = PostgresLog::new(postgres(&format!("{table}{harmless}")).await);
        assert!(log.try_mark_processed("evt_1").await.unwrap());
        assert!(!log.try_mark_processed("evt_1").await.unwrap());
        let mut transaction = log.begin().await.unwrap();
        let outcome = log.try_mark_in(&mut transaction, EventRef::new("evt_2").unwrap()).await.unwrap();
        assert_eq!(outcome, MarkOutcome::First);
        PostgresLog::commit(transaction).await.unwrap();
        assert!(!log.try_mark_processed("evt_2").await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_table_that_a_crash_empties_is_refused() {
    for (table, advice) in [
        ("ALTER TABLE stripe_processed_events SET UNLOGGED", "SET LOGGED"),
        (
            "ALTER TABLE stripe_processed_events RENAME TO other;
             CREATE VIEW stripe_processed_events AS SELECT * FROM other",
            "name the table itself",
        ),
    ] {
        let log = PostgresLog::new(postgres(&format!("{}{table}", PostgresLog::SCHEMA)).await);
        let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
        assert!(refused.contains(advice), "{refused}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn tables_of_one_name_in_two_schemas_do_not_share_locks() {
    let url = Postgres::shared().await.fresh_database().await;
    let mut logs = Vec::new();
    for schema in ["billing", "shipping"] {
        let pool = PgPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
            let statements = format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}");
            Box::pin(
                async move { sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map(drop) },
            )
        });
        let log = PostgresLog::new(pool.connect(&url).await.unwrap());
        log.create_table().await.unwrap();
        logs.push(log);
    }
    let event = EventRef::new("evt_1").unwrap();
    let mut open = Vec::new();
    for log in &logs {
        let mut transaction = log.begin().await.unwrap();
        assert_eq!(log.try_mark_in(&mut transaction, event).await.unwrap(), MarkOutcome::First);
        open.push(transaction);
    }
    for transaction in open {
        PostgresLog::commit(transaction).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn another_unique_key_makes_no_duplicate_of_a_new_event() {
    let unique = "ALTER TABLE stripe_processed_events ADD UNIQUE KEY one_of_a_type (event_type);
        INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_old', '');";
    let pool = mariadb(MariaDb::shared().await, &format!("{}{unique}", MySqlLog::SCHEMA)).await;
    for log in [MySqlLog::new(pool.clone()), MySqlLog::new(pool).without_group_commit()] {
        every_guarantee_refuses(&log, true, "another UNIQUE").await;
        assert!(!log.try_mark_processed("evt_old").await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_type_of_the_applications_own_is_not_blamed_on_the_time() {
    let table = "CREATE TYPE kind AS ENUM ('a');
        CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type kind NOT NULL,
        received_at TIMESTAMPTZ NOT NULL DEFAULT now());";
    let log = PostgresLog::new(postgres(table).await);
    every_guarantee_refuses(&log, false, "check its columns' types").await;
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn unusual_modes_of_mariadb_change_no_answer() {
    for setting in ["SET sql_mode = 'ORACLE'", "SET sql_mode = 'ANSI'", "SET sql_safe_updates = 1"] {
        let url = MariaDb::shared().await.fresh_database().await;
        let pool = MySqlPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
            Box::pin(async move { sqlx::raw_sql(setting).execute(connection).await.map(drop) })
        });
        let log = MySqlLog::new(pool.connect(&url).await.unwrap());
        log.create_table().await.unwrap();
        log.check().await.unwrap();
        assert!(log.try_mark_processed("evt_1").await.unwrap(), "{setting}");
        assert!(!log.try_mark_processed("evt_1").await.unwrap(), "{setting}");
        let mut transaction = log.begin().await.unwrap();
        let outcome = log.try_mark_in(&mut transaction, EventRef::new("evt_2").unwrap()).await.unwrap();
        assert_eq!(outcome, MarkOutcome::First, "{setting}");
        MySqlLog::commit(transaction).await.unwrap();
        assert!(!log.try_mark_processed("evt_2").await.unwrap(), "{setting}");
        assert_eq!(log.purge(RETENTION).await.unwrap(), 0, "{setting}");
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_trigger_that_fails_with_1062_makes_no_duplicate() {
    let trigger = "CREATE TABLE audit (id INT PRIMARY KEY);
        INSERT INTO audit VALUES (1);
        CREATE TRIGGER audit BEFORE INSERT ON stripe_processed_events FOR EACH ROW INSERT INTO audit VALUES (1);";
    let pool = mariadb(MariaDb::shared().await, &format!("{}{trigger}", MySqlLog::SCHEMA)).await;
    for log in [MySqlLog::new(pool.clone()), MySqlLog::new(pool).without_group_commit()] {
        let marked = log.try_mark_processed("evt_new").await;
        assert!(marked.is_err(), "{marked:?}");
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_pool_without_autocommit_is_refused() {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql("SET autocommit = 0").execute(connection).await.map(drop) })
    });
    let log = MySqlLog::new(pool.connect(&url).await.unwrap());
    log.create_table().await.unwrap();
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("`autocommit = 0`"), "{refused}");
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_binary_log_in_statements_can_be_purged() {
    let server = MariaDb::start_with(&["--log-bin", "--binlog-format=STATEMENT"]).await;
    let old = "INSERT INTO stripe_processed_events (event_id, event_type, received_at) VALUES ('old', '', '2020-01-01');";
    let log = MySqlLog::new(mariadb(&server, &format!("{}{old}", MySqlLog::SCHEMA)).await);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(log.purge(RETENTION).await.unwrap(), 1);
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
async fn rows_that_sqlite_ignores_are_refused() {
    let ignoring = "CREATE TRIGGER swallow BEFORE INSERT ON stripe_processed_events
        BEGIN SELECT RAISE(IGNORE); END;";
    let conflict = "CREATE TABLE stripe_processed_events (event_id TEXT NOT NULL PRIMARY KEY,
        event_type TEXT NOT NULL UNIQUE ON CONFLICT IGNORE, received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
        INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('old', '');";
    let swallowed = format!("{}{ignoring}", SqliteLog::SCHEMA);
    for (statements, can_claim) in [(&*swallowed, true), (conflict, false)] {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
        let pool = SqlitePoolOptions::new().connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
        every_guarantee_refuses(&SqliteLog::new(pool), can_claim, "does not keep the event's row").await;
    }
}

/// A new event must not delete the mark of another one, whatever the table's constraints say.
#[tokio::test]
async fn rows_that_sqlite_replaces_are_refused() {
    let replacing = "CREATE TABLE stripe_processed_events (event_id TEXT NOT NULL PRIMARY KEY,
        event_type TEXT NOT NULL UNIQUE ON CONFLICT REPLACE, received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
        INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('old', '');";
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
    let pool = SqlitePoolOptions::new().connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(replacing.to_owned())).execute(&pool).await.unwrap();
    for log in [SqliteLog::new(pool.clone()), SqliteLog::new(pool).without_group_commit()] {
        every_guarantee_refuses(&log, false, "another UNIQUE key").await;
        assert!(!log.try_mark_processed("old").await.unwrap());
    }
}

#[tokio::test]
async fn only_a_file_on_disk_is_opened() {
    let folder = TempDir::new().unwrap();
    let in_folder = folder.path().to_str().unwrap();
    for path in [
        "",
        " ",
        ":memory:",
        "file::memory:",
        "file::memory:?cache=shared",
        "file:events.db?mode=memory",
        "sqlite://events.db",
        "sqlite::memory:",
        in_folder,
        "/dev/null",
    ] {
        let refused = SqliteLog::open(path).await.expect_err(path).to_string();
        assert!(refused.starts_with("could not open the database file"), "{refused}");
    }
    assert!(SqliteLog::open(folder.path().join("events.db")).await.is_ok());
}

/// Unix seconds, milliseconds, microseconds, a Julian day, and text: an old row and a new one of each.
#[tokio::test]
async fn purge_reads_the_times_that_other_tables_keep() {
    for (kind, time) in [
        ("INTEGER", "unixepoch('now', '-{} days')"),
        ("INTEGER", "unixepoch('now', '-{} days') * 1000"),
        ("INTEGER", "unixepoch('now', '-{} days') * 1000000"),
        ("REAL", "unixepoch('now', '-{} days') + 0.5"),
        ("REAL", "julianday('now', '-{} days')"),
        ("NUMERIC", "unixepoch('now', '-{} days')"),
        ("TEXT", "unixepoch('now', '-{} days')"),
        ("TEXT", "datetime('now', '-{} days')"),
        ("", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{} days')"),
    ] {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
        let pool = SqlitePoolOptions::new().connect(&url).await.unwrap();
        let (old, new) = (time.replace("{}", "36"), time.replace("{}", "1"));
        let statements = format!(
            "CREATE TABLE stripe_processed_events (event_id TEXT NOT NULL PRIMARY KEY, event_type TEXT NOT NULL,
               received_at {kind});
             INSERT INTO stripe_processed_events VALUES ('old', '', {old}), ('new', '', {new}), ('none', '', NULL),
               ('unreadable', '', 'yesterday');"
        );
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap();
        let log = SqliteLog::new(pool);
        assert_eq!(log.purge(RETENTION).await.unwrap(), 1, "{kind}, {time}");
        let left: Vec<String> = sqlx::query_scalar("SELECT event_id FROM stripe_processed_events ORDER BY 1")
            .fetch_all(log.pool())
            .await
            .unwrap();
        assert_eq!(left, ["new", "none", "unreadable"], "{kind}, {time}");
    }
}
