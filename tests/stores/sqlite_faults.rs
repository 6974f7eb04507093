//! Files that cannot be used: each gets an error in plain words, and a delivery that is refused is
//! not lost.

use std::error::Error as _;
use std::pin::pin;
use std::time::Duration;

use ferro_idem::{Error, ProcessedEventLog, SqliteLog};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions};
use tempfile::TempDir;
use tokio::time::timeout;

fn message_of(error: &Error) -> String {
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
    assert!(error.source().is_some(), "what the driver said is there");
    error.to_string()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "not a database, and longer than the hundred bytes of a header ".repeat(3);
    std::fs::write(&path, &notes).unwrap();
    // A locked file is waited for, for five seconds; this will not become a database.
    let opened = timeout(Duration::from_secs(4), SqliteLog::open(&path)).await;
    let message = message_of(&opened.expect("it waits for nothing").unwrap_err());
    assert!(message.contains("is not a SQLite database"), "{message}");
    assert!(message.contains("notes.txt"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_folder_that_is_missing_or_a_folder_in_place_of_a_file() {
    let folder = TempDir::new().unwrap();
    for path in [folder.path().join("missing/events.db"), folder.path().to_owned()] {
        let message = message_of(&SqliteLog::open(&path).await.unwrap_err());
        assert!(message.contains("the folder has to exist"), "{message}");
    }
}

#[tokio::test]
async fn a_database_in_memory_is_not_opened_by_mistake() {
    let message = message_of(&SqliteLog::open(":memory:").await.unwrap_err());
    assert!(message.contains("use `MemoryProcessedLog`"), "{message}");
    assert!(!std::path::Path::new(":memory:").exists());
}

#[tokio::test]
async fn a_read_only_database_refuses_the_delivery() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    SqliteLog::open(&path).await.unwrap().pool().close().await;
    let read_only = SqliteConnectOptions::new().filename(&path).read_only(true);
    let log = SqliteLog::new(SqlitePoolOptions::new().connect_with(read_only).await.unwrap());
    let message = message_of(&log.try_mark_processed("evt_1").await.unwrap_err());
    assert!(message.contains("the database is read-only"), "{message}");
    let writable = SqliteLog::open(&path).await.unwrap();
    assert!(writable.try_mark_processed("evt_1").await.unwrap(), "the next delivery runs");
}

#[tokio::test]
async fn a_locked_database_is_an_error_after_the_busy_timeout() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    SqliteLog::open(&path).await.unwrap().pool().close().await;
    let options = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::from_millis(20));
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();

    let log = SqliteLog::new(SqlitePoolOptions::new().connect_with(options).await.unwrap());
    let message = message_of(&log.try_mark_processed("evt_1").await.unwrap_err());
    assert!(message.contains("another connection holds the write lock"), "{message}");

    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "the next delivery runs");
}

#[tokio::test]
async fn a_delivery_waits_for_a_short_lock_instead_of_failing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let log = SqliteLog::open(&path).await.unwrap();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();

    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.try_mark_processed("evt_1").await }
    });
    // A second connection that reads is served meanwhile: WAL.
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM stripe_processed_events")
        .fetch_one(log.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
    assert!(!waiting.is_finished());
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    assert!(waiting.await.unwrap().unwrap());
}

#[tokio::test]
async fn without_a_free_connection_the_error_says_what_to_raise() {
    let folder = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("a.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(2))
        .connect_with(options)
        .await
        .unwrap();
    let log = SqliteLog::new(pool.clone());
    log.create_table().await.unwrap();
    let held = pool.acquire().await.unwrap();
    let message = message_of(&log.try_mark_processed("evt_1").await.unwrap_err());
    assert!(message.contains("max_connections"), "{message}");
    drop(held);
    pool.close().await;
    let message = message_of(&log.try_mark_processed("evt_1").await.unwrap_err());
    assert!(message.contains("the pool is closed"), "{message}");
}

/// The switch to WAL is refused at once, whatever the busy timeout.
#[tokio::test]
async fn opening_waits_while_another_process_has_the_new_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let mut opening = pin!(SqliteLog::open(&path));
    let waited = timeout(Duration::from_millis(100), opening.as_mut()).await;
    assert!(waited.is_err(), "{waited:?}");
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    assert!(opening.await.unwrap().try_mark_processed("evt_1").await.unwrap());
}
