//! PostgreSQL with a synchronous standby: a duplicate is answered only from a mark that a failover keeps.
//!
//! If the standby is away and the primary crashes, a mark that nobody was told of is visible after the restart, before
//! the standby has it. A transaction that only reads does not wait for the standby.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Owner, PostgresLog, ProcessedEventLog,
    TransactionalLog,
};
use ferro_idem_tests::servers::{Place, Postgres, until};
use sqlx::{PgPool, query, query_scalar};
use tokio::time::timeout;

const EVENTS: [&str; 3] = ["evt_fence", "evt_claim", "evt_transaction"];

/// A primary, its synchronous standby, and a log with a mark of `evt_before`.
async fn with_standby() -> (Postgres, Postgres, PostgresLog) {
    let primary = Postgres::start().await;
    let standby = primary.start_standby(Place::HERE, "standby").await;
    let pool = PgPool::connect(&primary.url()).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    log.create_table().await.unwrap();
    query("ALTER SYSTEM SET synchronous_standby_names = 'standby'").execute(&pool).await.unwrap();
    query("SELECT pg_reload_conf()").execute(&pool).await.unwrap();
    until("the standby is synchronous", || async { is_synchronous(&pool).await }).await;
    assert!(log.try_mark_processed("evt_before").await.unwrap());
    (primary, standby, log)
}

/// The server reports a commit as done whose wait was cancelled, with a warning that the driver does not hand on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL, which tests/run installs"]
async fn a_cancelled_wait_for_the_standby_is_acknowledged_and_its_duplicates_wait() {
    let (_primary, standby, log) = with_standby().await;
    standby.server().kill();
    let mark = tokio::spawn(fence(log.clone()));
    until("it is acknowledged when its wait is cancelled", || async {
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        query(cancel).execute(log.pool()).await.unwrap();
        mark.is_finished()
    })
    .await;
    assert!(mark.await.unwrap().unwrap());
    let duplicate = tokio::spawn(fence(log.clone()));
    until("its duplicate waits", || async { waiting(log.pool()).await >= 1 }).await;
    assert!(!duplicate.is_finished());
    standby.start_again().await;
    assert!(!duplicate.await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL, which tests/run installs"]
async fn a_duplicate_waits_for_the_standby_that_a_failover_needs() {
    let (primary, standby, log) = with_standby().await;
    let pool = log.pool().clone();

    standby.server().kill();
    for event in EVENTS {
        let mark =
            query("INSERT INTO stripe_processed_events (event_id, event_type) VALUES ($1, '')").bind(event);
        timeout(Duration::from_millis(300), mark.execute(&pool)).await.expect_err("it waits for the standby");
    }
    primary.server().kill();
    primary.start_again().await;

    let pool = PgPool::connect(&primary.url()).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    let fence = tokio::spawn(fence(log.clone()));
    let claim = tokio::spawn(claim(log.clone()));
    let transaction = tokio::spawn(in_transaction(log));
    until("all three wait for the standby", || async {
        assert!(!fence.is_finished(), "the fence answers from a mark that the standby does not have");
        assert!(!claim.is_finished(), "the claim answers from a mark that the standby does not have");
        assert!(
            !transaction.is_finished(),
            "the transaction answers from a mark that the standby does not have"
        );
        waiting(&pool).await >= 3
    })
    .await;

    standby.start_again().await;
    assert!(!fence.await.unwrap().unwrap());
    assert_eq!(claim.await.unwrap().unwrap(), ClaimOutcome::Processed);
    assert_eq!(transaction.await.unwrap().unwrap(), MarkOutcome::Processed);
    primary.server().kill();
    let promoted = PgPool::connect(&standby.url()).await.unwrap();
    query("SELECT pg_promote()").execute(&promoted).await.unwrap();
    let log = PostgresLog::new(promoted);
    for event in EVENTS.into_iter().chain(["evt_before"]) {
        assert!(!log.try_mark_processed(event).await.unwrap(), "{event} is lost by the failover");
    }
}

async fn fence(log: PostgresLog) -> Result<bool, Error> {
    log.try_mark_processed(EVENTS[0]).await
}

async fn claim(log: PostgresLog) -> Result<ClaimOutcome, Error> {
    log.claim(EventRef::new(EVENTS[1])?, Owner::random()?, Duration::from_mins(1)).await
}

async fn in_transaction(log: PostgresLog) -> Result<MarkOutcome, Error> {
    let mut transaction = log.begin().await?;
    log.try_mark_in(&mut transaction, EventRef::new(EVENTS[2])?).await
}

async fn is_synchronous(pool: &PgPool) -> bool {
    let state = query_scalar("SELECT sync_state FROM pg_stat_replication");
    state.fetch_optional(pool).await.unwrap() == Some("sync".to_owned())
}

async fn waiting(pool: &PgPool) -> i64 {
    let waiting = query_scalar("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    waiting.fetch_one(pool).await.unwrap()
}
