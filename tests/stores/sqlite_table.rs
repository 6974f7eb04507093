//! The tables that a fence can be kept in.

use ferro_idem::{Error, EventRef, ProcessedEventLog, SqliteLog};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

/// The plain table of an application that fenced by hand.
const PLAIN: &str = "CREATE TABLE stripe_processed_events (
  event_id    TEXT PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

async fn pool(folder: &TempDir) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(folder.path().join("app.db")).create_if_missing(true);
    SqlitePool::connect_with(options).await.unwrap()
}

#[tokio::test]
async fn open_makes_a_durable_file_and_its_table_ready_in_one_call() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let log = SqliteLog::open(&path).await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(log.pool()).await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(log.pool()).await.unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
    log.pool().close().await;

    let reopened = SqliteLog::open(&path).await.unwrap();
    assert!(!reopened.try_mark_processed("evt_1").await.unwrap(), "a restart forgets nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_one_new_file_at_the_same_moment() {
    let folder = TempDir::new().unwrap();
    for round in 0..10 {
        let path = folder.path().join(format!("{round}.db"));
        let opening = (0..8).map(|_| tokio::spawn(SqliteLog::open(path.clone())));
        for opened in futures_util::future::join_all(opening).await {
            opened.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_mark_records_the_type_and_who_made_it() {
    let folder = TempDir::new().unwrap();
    let log = SqliteLog::open(folder.path().join("events.db")).await.unwrap();
    let typed = EventRef::new("evt_1").unwrap().with_type("invoice.paid");
    assert!(log.try_mark_event(typed).await.unwrap());
    assert!(log.try_mark_processed("evt_2").await.unwrap());
    let rows: Vec<(String, String, i64, Vec<u8>)> =
        sqlx::query_as("SELECT event_id, event_type, state, owner FROM stripe_processed_events ORDER BY 1")
            .fetch_all(log.pool())
            .await
            .unwrap();
    assert_eq!((rows[0].0.as_str(), rows[0].1.as_str(), rows[0].2), ("evt_1", "invoice.paid", 1));
    assert_eq!((rows[1].0.as_str(), rows[1].1.as_str(), rows[1].2), ("evt_2", "", 1));
    assert_eq!((rows[0].3.len(), rows[1].3.len()), (16, 16));
    assert_ne!(rows[0].3, rows[1].3, "each call has a owner of its own");
}

#[tokio::test]
async fn the_plain_three_column_table_works_as_it_is() {
    let folder = TempDir::new().unwrap();
    let pool = pool(&folder).await;
    sqlx::query(PLAIN).execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_old', 'paid')")
        .execute(&pool)
        .await
        .unwrap();
    let log = SqliteLog::new(pool);
    assert!(!log.try_mark_processed("evt_old").await.unwrap(), "a row made by hand counts as processed");
    let event = EventRef::new("evt_new").unwrap().with_type("refunded");
    assert!(log.try_mark_event(event).await.unwrap());
    assert!(!log.try_mark_event(event).await.unwrap());
    let kind: String =
        sqlx::query_scalar("SELECT event_type FROM stripe_processed_events WHERE event_id = 'evt_new'")
            .fetch_one(log.pool())
            .await
            .unwrap();
    assert_eq!(kind, "refunded");
}

#[tokio::test]
async fn a_log_over_the_applications_pool_creates_nothing() {
    let folder = TempDir::new().unwrap();
    let log = SqliteLog::new(pool(&folder).await);
    let error = log.try_mark_processed("evt_1").await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }));
    let message = error.to_string();
    assert!(message.contains("there is no table `stripe_processed_events`, create it with"), "{message}");

    let statement = message.split_once("create it with\n").unwrap().1.to_owned();
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "the statement in the error is the one to run");
}

#[tokio::test]
async fn a_missing_column_is_refused_with_the_fixing_statement() {
    let folder = TempDir::new().unwrap();
    let pool = pool(&folder).await;
    sqlx::query("CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY)")
        .execute(&pool)
        .await
        .unwrap();
    let log = SqliteLog::new(pool);
    let message = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    let statement = message.split_once("add it with\n").unwrap().1.to_owned();
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
async fn a_table_whose_id_is_not_unique_is_no_fence_and_is_refused() {
    let folder = TempDir::new().unwrap();
    let pool = pool(&folder).await;
    sqlx::query("CREATE TABLE stripe_processed_events (event_id TEXT, event_type TEXT)")
        .execute(&pool)
        .await
        .unwrap();
    let message = SqliteLog::new(pool).try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(message.contains("`event_id` needs a PRIMARY KEY or UNIQUE constraint"), "{message}");
}

#[tokio::test]
async fn a_lossy_column_is_refused_with_the_fixing_statements() {
    for (column, ids) in [
        ("TEXT COLLATE NOCASE PRIMARY KEY", ["evt_a", "EVT_A"]),
        ("TEXT COLLATE RTRIM PRIMARY KEY", ["evt_a", "evt_a "]),
        ("TEXT UNIQUE COLLATE NOCASE", ["evt_a", "EVT_A"]),
        ("STRING PRIMARY KEY", ["1000", "1e3"]),
        ("NUMERIC PRIMARY KEY", ["1000", "1e3"]),
    ] {
        let folder = TempDir::new().unwrap();
        let pool = pool(&folder).await;
        let table = PLAIN.replace("TEXT PRIMARY KEY", column);
        sqlx::query(sqlx::AssertSqlSafe(table)).execute(&pool).await.unwrap();
        for id in ids {
            let by_hand = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?, 'paid') \
                 ON CONFLICT (event_id) DO NOTHING";
            let inserted = sqlx::query(by_hand).bind(id).execute(&pool).await.unwrap();
            assert_eq!(inserted.rows_affected() == 1, id == ids[0], "{column}: the second event is lost");
        }

        let log = SqliteLog::new(pool);
        let refused =
            log.try_mark_processed(ids[1]).await.map_err(|error| error.to_string()).expect_err(column);
        assert!(refused.contains("takes different ids for one"), "{refused}");
        let statements = refused.split_once("compare bytes with\n").unwrap().1.to_owned();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(log.pool()).await.unwrap();
        assert!(!log.try_mark_processed(ids[0]).await.unwrap(), "{column}: what it held still counts");
        for id in [ids[1], "evt_b", "EVT_B", "evt_b ", "7", "07", "7.0"] {
            assert!(log.try_mark_processed(id).await.unwrap(), "{column}: {id:?}");
        }
    }
}

#[tokio::test]
async fn a_column_without_a_type_or_of_text_keeps_ids() {
    for column in ["PRIMARY KEY", "BLOB PRIMARY KEY", "VARCHAR(9) PRIMARY KEY", "NATIVE CHARACTER(9) UNIQUE"]
    {
        let folder = TempDir::new().unwrap();
        let pool = pool(&folder).await;
        let table = PLAIN.replace("TEXT PRIMARY KEY", column);
        sqlx::query(sqlx::AssertSqlSafe(table)).execute(&pool).await.unwrap();
        let log = SqliteLog::new(pool);
        for id in ["evt_b", "EVT_B", "evt_b ", "7", "07", "7.0", "7e0", &"x".repeat(255)] {
            assert!(log.try_mark_processed(id).await.unwrap(), "{column}: {id:?}");
            assert!(!log.try_mark_processed(id).await.unwrap(), "{column}: {id:?}");
        }
    }
}
