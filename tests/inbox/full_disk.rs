//! A full disk is answered with an error, keeps what was acknowledged, and is over when there is room again.

use ferro_idem::__inbox::{InboxStore, NewDelivery, Received};
use ferro_idem::{EventRef, MarkOutcome, SqliteLog, TransactionalLog};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tempfile::TempDir;

use crate::databases::{Database, SENDER, delivery, ids, inbox, take};

/// A file that cannot grow over so many pages.
async fn limited(folder: &TempDir, pages: u32) -> InboxStore<sqlx::Sqlite> {
    InboxStore::new(&limited_log(folder, pages, 2).await, SENDER)
}

async fn limited_log(folder: &TempDir, pages: u32, connections: u32) -> SqliteLog {
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app.db"))
        .create_if_missing(true)
        .pragma("max_page_count", pages.to_string());
    let pool = SqlitePoolOptions::new().max_connections(connections).connect_with(options).await.unwrap();
    SqliteLog::new(pool)
}

#[tokio::test]
async fn a_full_disk_keeps_what_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let store = limited(&folder, 100_000).await;
    store.create_tables().await.unwrap();
    drop(store);

    let store = limited(&folder, 60).await;
    let large = |id: &str| NewDelivery::new(EventRef::new(id).unwrap(), None, vec![b'x'; 20_000]);
    let mut stored = Vec::new();
    let error = loop {
        let id = format!("evt_{}", stored.len());
        match store.receive(large(&id)).await {
            Ok(received) => {
                assert_eq!(received, Received::First);
                stored.push(id);
            }
            Err(error) => break error,
        }
        assert!(stored.len() < 100, "the file has no limit");
    };
    assert!(stored.len() > 2, "{error}");
    assert_eq!(error.status(), 503);
    assert!(!InboxStore::<sqlx::Sqlite>::needs_help(&error), "a worker goes on, and does not end: {error}");
    assert_eq!(store.counts().await.unwrap().waiting, stored.len() as u64);

    // Processing makes room, on the full disk.
    let taken = take(&store, 100).await;
    assert_eq!(ids(&taken), stored);
    for taken in &taken {
        assert!(store.complete(&taken.held).await.unwrap());
    }
    let refused = format!("evt_{}", stored.len());
    assert_eq!(store.receive(large(&refused)).await.unwrap(), Received::First, "it was never stored");
    assert_eq!(ids(&take(&store, 100).await), [&*refused]);

    // Or the disk grows.
    let store = limited(&folder, 100_000).await;
    for n in 0..20 {
        assert_eq!(store.receive(large(&format!("more_{n}"))).await.unwrap(), Received::First);
    }
    assert_eq!(store.receive(delivery("evt_0", None)).await.unwrap(), Received::Duplicate, "after all");
}

/// SQLite rolls the transaction back by itself. The next one on the same connection is a transaction again, and no
/// savepoint of one that never ends.
#[tokio::test]
async fn after_a_full_disk_a_rollback_undoes_and_a_commit_stays() {
    let folder = TempDir::new().unwrap();
    let log = limited_log(&folder, 60, 1).await;
    log.create_table().await.unwrap();
    sqlx::query("CREATE TABLE effects (event_id TEXT)").execute(log.pool()).await.unwrap();
    let event = |id| EventRef::new(id).unwrap();

    let mut transaction = log.begin().await.unwrap();
    assert_eq!(log.try_mark_in(&mut transaction, event("evt_1")).await.unwrap(), MarkOutcome::First);
    let large = sqlx::query("INSERT INTO effects VALUES (hex(zeroblob(1000000)))").execute(&mut *transaction);
    assert!(large.await.is_err(), "the file has no limit");
    drop(SqliteLog::rollback(transaction).await);

    let mut transaction = log.begin().await.unwrap();
    assert_eq!(log.try_mark_in(&mut transaction, event("evt_1")).await.unwrap(), MarkOutcome::First);
    SqliteLog::rollback(transaction).await.unwrap();
    let mut transaction = log.begin().await.unwrap();
    assert_eq!(log.try_mark_in(&mut transaction, event("evt_1")).await.unwrap(), MarkOutcome::First);
    sqlx::query("INSERT INTO effects VALUES ('evt_1')").execute(&mut *transaction).await.unwrap();
    SqliteLog::commit(transaction).await.unwrap();

    let other = limited_log(&folder, 100_000, 1).await;
    let mut transaction = other.begin().await.unwrap();
    let outcome = other.try_mark_in(&mut transaction, event("evt_1")).await.unwrap();
    assert_eq!(outcome, MarkOutcome::Processed, "another process sees the commit");
}

/// The body is the last that is stored of a delivery, so the rest of it must not stay: that would make the sender's next
/// attempt a duplicate.
async fn a_server_with_a_full_disk_keeps_what_was_acknowledged<T: Database>() {
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::First);

    T::run(&log, T::FILL_THE_DISK).await;
    let error = store.receive(delivery("evt_2", None)).await.unwrap_err();
    assert_eq!(error.status(), 503);
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert!(!InboxStore::<T::D>::needs_help(&error), "a worker goes on, and does not end: {error}");
    let taken = take(&store, 100).await;
    assert_eq!(ids(&taken), ["evt_1"]);
    assert!(store.complete(&taken[0].held).await.unwrap());

    T::run(&log, T::MAKE_ROOM).await;
    assert_eq!(store.receive(delivery("evt_2", None)).await.unwrap(), Received::First, "it was never stored");
    assert_eq!(ids(&take(&store, 100).await), ["evt_2"]);
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::Duplicate);
}

on_every_server!(a_server_with_a_full_disk_keeps_what_was_acknowledged);
