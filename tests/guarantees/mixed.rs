//! One event under several guarantees: a processed event stays processed, and a claimed event counts as seen.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, Outcome, Owner, Ownership, ProcessedEventLog, RETENTION,
    SqliteLog, idempotent_webhook,
};
use ferro_idem_tests::write_effect;
use sqlx::AssertSqlSafe;

use super::stores::sqlite;

const LEASE: Duration = Duration::from_mins(1);

async fn claimed<L: ClaimLog>(log: &L, id: &str) -> Ownership {
    let owner = Owner::random().unwrap();
    let outcome = log.claim(EventRef::new(id).unwrap(), owner, LEASE).await.unwrap();
    let ClaimOutcome::Acquired { token } = outcome else { panic!("{outcome:?}") };
    Ownership { owner, token }
}

#[idempotent_webhook(transaction(tx))]
async fn write(log: &SqliteLog, event: &str) -> Result<Outcome<()>, Error> {
    write_effect(tx, event).await?;
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn a_transaction_meets_the_other_guarantees() {
    let store = sqlite().await;
    let [log, other] = &store.handles;
    assert!(other.try_mark_processed("fenced").await.unwrap());
    assert_eq!(write(log, "fenced").await.unwrap(), Outcome::Duplicate);

    let held = claimed(other, "claimed").await;
    let meanwhile = write(log, "claimed").await;
    assert!(matches!(meanwhile, Err(Error::InProgress { retry_after, .. }) if retry_after <= LEASE));
    assert!(other.release("claimed", held).await.unwrap());
    assert_eq!(
        write(log, "claimed").await.unwrap(),
        Outcome::Processed(()),
        "a released claim is taken over"
    );
    assert!(!other.complete("claimed", held).await.unwrap());
    assert_eq!(write(log, "claimed").await.unwrap(), Outcome::Duplicate);
}

#[tokio::test]
async fn a_plain_table_can_be_upgraded_under_a_running_log() {
    let store = sqlite().await;
    let log = &store.handles[0];
    let run =
        |sql: String| async move { sqlx::raw_sql(AssertSqlSafe(sql)).execute(log.pool()).await.unwrap() };
    run("DROP TABLE stripe_processed_events;
         CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL,
         received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        .into())
    .await;
    assert_eq!(write(log, "before").await.unwrap(), Outcome::Processed(()), "a transaction needs no claim");
    assert_eq!(write(log, "before").await.unwrap(), Outcome::Duplicate);

    let owner = Owner::random().unwrap();
    let refused = log.claim(EventRef::new("evt_1").unwrap(), owner, LEASE).await.unwrap_err().to_string();
    let upgrade = refused.split_once("add them with\n").expect(&refused).1.to_owned();
    assert_eq!(upgrade.replace('"', ""), SqliteLog::UPGRADE);
    run(upgrade).await;
    let held = claimed(log, "evt_1").await;
    assert!(log.complete("evt_1", held).await.unwrap());
    let event = EventRef::new("before").unwrap();
    assert_eq!(log.claim(event, owner, LEASE).await.unwrap(), ClaimOutcome::Processed, "old rows count");
    assert_eq!(write(log, "before").await.unwrap(), Outcome::Duplicate);
}

#[tokio::test]
async fn after_an_upgrade_a_running_log_sees_the_claims_of_others() {
    let store = sqlite().await;
    let [log, other] = &store.handles;
    let run =
        |sql: String| async move { sqlx::raw_sql(AssertSqlSafe(sql)).execute(log.pool()).await.unwrap() };
    run("DROP TABLE stripe_processed_events;
         CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL,
         received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        .into())
    .await;
    assert_eq!(write(log, "before").await.unwrap(), Outcome::Processed(()));
    run(SqliteLog::UPGRADE.into()).await;

    let held = claimed(other, "claimed").await;
    let meanwhile = write(log, "claimed").await;
    assert!(matches!(meanwhile, Err(Error::InProgress { .. })), "{meanwhile:?}");

    run("UPDATE stripe_processed_events SET received_at = datetime('now', '-36 days')".into()).await;
    assert_eq!(log.purge(RETENTION).await.unwrap(), 1, "what is processed, and not the live claim");
    assert!(other.complete("claimed", held).await.unwrap());
}
