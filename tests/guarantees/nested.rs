//! A handler that calls another one for the same event and log.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, Error, Outcome, ProcessedEventLog, SqliteLog, SqliteTransaction, TransactionalLog,
    idempotent_webhook,
};
use ferro_idem_tests::{open_sqlite, write_effect};
use tempfile::TempDir;

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

fn assert_told(seen: &[Result<Outcome<()>, Error>]) {
    let [fence, claim, scoped, another] = seen else { panic!("{seen:?}") };
    for refused in [fence, claim] {
        let Err(error @ Error::Nested { .. }) = refused else { panic!("{refused:?}") };
        let text = error.to_string();
        assert_eq!(text.matches("nested.rs:").count(), 2, "{text}");
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
    assert_told(&seen);

    assert_eq!(inner_fence(&log, "evt_1").await.unwrap(), Outcome::Duplicate, "afterwards it is a duplicate");
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
