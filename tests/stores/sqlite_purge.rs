//! Forgetting.

use std::time::Duration;

use ferro_idem::{ProcessedEventLog, RETENTION, SqliteLog};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

const DAY: u64 = 24 * 60 * 60;

async fn log_with(folder: &TempDir, ages_in_days: &[(u32, u32)]) -> SqliteLog {
    let log = SqliteLog::open(folder.path().join("events.db")).await.unwrap();
    for &(age, events) in ages_in_days {
        let insert = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events})
             INSERT INTO stripe_processed_events (event_id, event_type, received_at)
             SELECT 'evt_' || i || '_{age}', 'paid', datetime('now', '-{age} days') FROM n"
        );
        sqlx::query(AssertSqlSafe(insert)).execute(log.pool()).await.unwrap();
    }
    log
}

async fn rows(log: &SqliteLog) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM stripe_processed_events").fetch_one(log.pool()).await.unwrap()
}

#[tokio::test]
async fn purge_deletes_what_is_older_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    // Old and young are mixed on every page, and there are several pages.
    let log = log_with(&folder, &[(36, 1_700), (34, 900), (0, 3)]).await;
    assert_eq!(log.purge(RETENTION).await.unwrap(), 1_700);
    assert_eq!(rows(&log).await, 903);
    assert_eq!(log.purge(RETENTION).await.unwrap(), 0);
    assert!(!log.try_mark_processed("evt_1_34").await.unwrap(), "a young event is remembered");
    assert!(log.try_mark_processed("evt_1_36").await.unwrap(), "an old one is forgotten");
    assert_eq!(log.purge(Duration::from_secs(2 * DAY)).await.unwrap(), 900);
}

#[tokio::test]
async fn purge_never_deletes_a_live_claim() {
    let folder = TempDir::new().unwrap();
    let log = log_with(&folder, &[(36, 1)]).await;
    sqlx::query("UPDATE stripe_processed_events SET state = 0").execute(log.pool()).await.unwrap();
    assert_eq!(log.purge(RETENTION).await.unwrap(), 0);
    sqlx::query("UPDATE stripe_processed_events SET state = 2").execute(log.pool()).await.unwrap();
    assert_eq!(log.purge(RETENTION).await.unwrap(), 1);
}

#[tokio::test]
async fn purge_of_an_empty_or_a_plain_table() {
    let folder = TempDir::new().unwrap();
    let log = log_with(&folder, &[]).await;
    assert_eq!(log.purge(Duration::ZERO).await.unwrap(), 0);
    sqlx::query("DROP TABLE stripe_processed_events").execute(log.pool()).await.unwrap();
    sqlx::query(
        "CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL,
         received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )
    .execute(log.pool())
    .await
    .unwrap();
    let plain = SqliteLog::new(log.pool().clone());
    plain.try_mark_processed("evt_1").await.unwrap();
    sqlx::query("UPDATE stripe_processed_events SET received_at = datetime('now', '-36 days')")
        .execute(log.pool())
        .await
        .unwrap();
    assert_eq!(plain.purge(RETENTION).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_go_on_while_a_purge_runs() {
    let folder = TempDir::new().unwrap();
    let log = log_with(&folder, &[(36, 20_000)]).await;
    let purging = tokio::spawn({
        let log = log.clone();
        async move { log.purge(RETENTION).await.unwrap() }
    });
    let mut marked = 0;
    while !purging.is_finished() {
        assert!(log.try_mark_processed(&format!("new_{marked}")).await.unwrap());
        marked += 1;
    }
    assert_eq!(purging.await.unwrap(), 20_000);
    assert!(marked > 0);
    assert_eq!(rows(&log).await, marked);
}
