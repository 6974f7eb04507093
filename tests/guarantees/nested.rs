//! A handler that calls another one for the same event and log.

use std::sync::Arc;
use std::time::Duration;

use ferro_idem::{
    ClaimLog, Error, Outcome, ProcessedEventLog, SqliteLog, SqliteTransaction, TransactionalLog,
    idempotent_webhook,
};
use ferro_idem_tests::{open_sqlite, write_effect};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::stores::memory;

#[idempotent_webhook]
async fn inner_fence<L: ProcessedEventLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(claim)]
async fn inner_claim<L: ClaimLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(scope = "mail")]
async fn scoped<L: ProcessedEventLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

type Seen = Vec<Result<Outcome<()>, Error>>;

async fn call_all<L: ProcessedEventLog + ClaimLog + Clone>(log: &L, event: &str, seen: &mut Seen) {
    seen.push(inner_fence(log, event).await);
    tokio::task::yield_now().await;
    seen.push(inner_claim(&log.clone(), event).await);
    seen.push(scoped(log, event).await);
    seen.push(inner_fence(log, "another").await);
}

#[idempotent_webhook(claim)]
async fn outer_claim<L: ProcessedEventLog + ClaimLog + Clone>(
    log: &L,
    event: &str,
    seen: &mut Seen,
) -> Result<(), Error> {
    call_all(log, event, seen).await;
    Ok(())
}

fn assert_told(seen: &[Result<Outcome<()>, Error>], outer: &str) {
    let [fence, claim, scoped, another] = seen else { panic!("{seen:?}") };
    for refused in [fence, claim] {
        let Err(error @ Error::Nested { .. }) = refused else { panic!("{refused:?}") };
        let text = error.to_string();
        let inner = if std::ptr::eq(refused, fence) { "inner_fence" } else { "inner_claim" };
        let names = format!("`guarantees::nested::{inner}` was called by `guarantees::nested::{outer}`");
        assert!(text.starts_with(&names), "{text}");
        assert!(text.contains("`scope`"), "{text}");
    }
    assert_eq!(scoped.as_ref().unwrap(), &Outcome::Processed(()));
    assert_eq!(another.as_ref().unwrap(), &Outcome::Processed(()));
}

#[tokio::test]
async fn a_handler_inside_a_handler_of_the_same_event_is_told_so() {
    let mut seen = Seen::new();
    let [log, _] = memory().handles;
    outer_claim(&log, "evt_1", &mut seen).await.unwrap();
    assert_told(&seen, "outer_claim");

    assert_eq!(inner_fence(&log, "evt_1").await.unwrap(), Outcome::Duplicate, "afterwards it is a duplicate");
}

#[idempotent_webhook]
async fn outer_fence<L: ProcessedEventLog + ClaimLog + Clone>(
    log: &L,
    event: &str,
    seen: &mut Seen,
) -> Result<(), Error> {
    call_all(log, event, seen).await;
    Ok(())
}

#[tokio::test]
async fn a_handler_inside_a_fenced_handler_is_told_at_the_first_time() {
    let mut seen = Seen::new();
    let [log, _] = memory().handles;
    outer_fence(&log, "evt_1", &mut seen).await.unwrap();
    assert_told(&seen, "outer_fence");

    assert_eq!(inner_fence(&log, "evt_1").await.unwrap(), Outcome::Duplicate, "afterwards it is a duplicate");
}

/// The outer body is moved to other threads before it calls the inner one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fenced_handler_that_changes_threads_is_told_as_well() {
    #[idempotent_webhook]
    async fn outer<L: ProcessedEventLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let nested = inner_fence(log, event).await;
        assert!(matches!(nested, Err(Error::Nested { .. })), "{nested:?}");
        Ok(Outcome::Processed(()))
    }
    let [log, _] = memory().handles;
    let deliveries = (0..64).map(|number| {
        let log = log.clone();
        tokio::spawn(async move { outer(&log, &format!("evt_{number}")).await })
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        delivery.await.unwrap().unwrap();
    }
}

#[idempotent_webhook(transaction(tx))]
async fn inner_transaction(log: &SqliteLog, event: &str) -> Result<(), Error> {
    write_effect(tx, event).await
}

#[idempotent_webhook]
async fn fence_around_a_transaction(log: &SqliteLog, event: &str) -> Result<(), Error> {
    inner_transaction(log, event).await
}

#[tokio::test]
async fn a_transaction_inside_a_fenced_handler_is_told() {
    let folder = TempDir::new().unwrap();
    let log: SqliteLog = open_sqlite(folder.path(), 1).await;
    ferro_idem_tests::create_effects(&log).await;
    let error = fence_around_a_transaction(&log, "evt_1").await.unwrap_err();
    assert!(matches!(error, Error::Nested { .. }), "{error:?}");
    assert!(error.to_string().contains("::fence_around_a_transaction`"), "{error}");
}

#[idempotent_webhook]
async fn fence_over_another_log(log: &SqliteLog, event: &str, other: &SqliteLog) -> Result<(), Error> {
    inner_fence(other, event).await.map(drop)
}

#[tokio::test]
async fn two_logs_over_one_table_of_a_pool_are_one() {
    let folder = TempDir::new().unwrap();
    let log: SqliteLog = open_sqlite(folder.path(), 1).await;
    let other = SqliteLog::new(log.pool().clone());
    let error = fence_over_another_log(&log, "evt_1", &other).await.unwrap_err();
    assert!(matches!(error, Error::Nested { .. }), "{error:?}");

    let other = other.with_table("mails").unwrap();
    other.create_table().await.unwrap();
    fence_over_another_log(&log, "evt_2", &other).await.unwrap();
}

/// Other deliveries of the event, in other tasks, are duplicates.
#[tokio::test]
async fn another_handler_in_another_task_is_not_nested() {
    #[idempotent_webhook]
    async fn slow<L: ProcessedEventLog>(
        log: &L,
        event: &str,
        begun: &Notify,
        end: &Notify,
    ) -> Result<(), Error> {
        begun.notify_one();
        end.notified().await;
        Ok(())
    }
    let [log, _] = memory().handles;
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let running = tokio::spawn({
        let (log, begun, end) = (log.clone(), Arc::clone(&begun), Arc::clone(&end));
        async move { slow(&log, "evt_1", &begun, &end).await }
    });
    begun.notified().await;
    assert_eq!(inner_fence(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    end.notify_one();
    running.await.unwrap().unwrap();
}

#[idempotent_webhook(transaction(tx))]
async fn outer_transaction<L>(log: &L, event: &str, seen: &mut Seen) -> Result<(), Error>
where
    L: TransactionalLog<Transaction = SqliteTransaction> + ProcessedEventLog,
{
    write_effect(tx, event).await?;
    seen.push(inner_fence(log, event).await);
    Ok(())
}

#[tokio::test]
async fn a_fence_inside_a_transaction_on_a_pool_of_one_fails_at_once() {
    let folder = TempDir::new().unwrap();
    let log: SqliteLog = open_sqlite(folder.path(), 1).await;
    ferro_idem_tests::create_effects(&log).await;
    let mut seen = Seen::new();
    let delivered = tokio::time::timeout(Duration::from_secs(8), outer_transaction(&log, "evt_1", &mut seen));
    delivered.await.expect("nothing waits for the transaction").unwrap();
    assert!(matches!(&seen[..], [Err(Error::Nested { .. })]), "{seen:?}");
}

/// Two deliveries of one event in two tasks of one thread are not nested.
#[tokio::test]
async fn deliveries_beside_each_other_are_not_nested() {
    #[idempotent_webhook]
    async fn slow<L: ProcessedEventLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        Ok(Outcome::Processed(()))
    }
    let [log, _] = memory().handles;
    let (first, second) = tokio::join!(slow(&log, "evt_1"), slow(&log, "evt_1"));
    assert_eq!(first.unwrap(), Outcome::Processed(()));
    assert_eq!(second.unwrap(), Outcome::Duplicate);
}
