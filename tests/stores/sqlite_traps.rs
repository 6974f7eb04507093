//! What SQLite does to those who fence by hand, seen through the log.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Outcome, Owner, Ownership, ProcessedEventLog,
    SqliteLog, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::{create_effects, effects_of, open_sqlite, write_effect};
use sqlx::{AssertSqlSafe, SqliteConnection};
use tempfile::TempDir;

const LEASE: Duration = Duration::from_mins(1);

async fn run(connection: &mut SqliteConnection, statement: &'static str) -> Result<(), Error> {
    let run = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await;
    run.map(drop).map_err(|error| Error::store("run in the body", error))
}

/// Writes its effect, and says what follows it.
#[idempotent_webhook(transaction(tx))]
async fn handle(log: &SqliteLog, event: &str, then: &'static str) -> Result<Outcome<()>, Error> {
    write_effect(tx, event).await?;
    run(tx, then).await?;
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn a_body_that_rolls_back_by_itself_is_not_processed() {
    for then in ["ROLLBACK", "ROLLBACK; BEGIN"] {
        let folder = TempDir::new().unwrap();
        let log = open_sqlite(folder.path(), 2).await;
        create_effects(&log).await;
        let refused = handle(&log, "evt_1", then).await;
        assert!(matches!(refused, Err(Error::Store { .. })), "{then}: {refused:?}");
        assert_eq!(effects_of(&log, "evt_1").await, 0, "{then}");
        assert_eq!(handle(&log, "evt_1", "").await.unwrap(), Outcome::Processed(()), "{then}");
        assert_eq!(effects_of(&log, "evt_1").await, 1, "{then}");
    }
}

/// What an application does in a transaction of its own before it marks.
#[tokio::test]
async fn a_stale_snapshot_begins_the_transaction_again() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 3).await;
    create_effects(&log).await;
    let event = EventRef::new("evt_1").unwrap();
    let mut transaction = log.begin().await.unwrap();
    run(&mut transaction, "SELECT count(*) FROM effects").await.unwrap();
    assert!(log.try_mark_processed("evt_2").await.unwrap(), "its snapshot is stale now");
    let mut by_hand = log.pool().begin().await.unwrap();
    run(&mut by_hand, "SELECT count(*) FROM effects").await.unwrap();
    assert!(log.try_mark_processed("evt_3").await.unwrap());
    let refused = write_effect(&mut by_hand, "evt_1").await.unwrap_err();
    assert!(format!("{refused:?}").contains("517"), "SQLITE_BUSY_SNAPSHOT is what is met: {refused:?}");
    by_hand.rollback().await.unwrap();

    let outcome = log.try_mark_in(&mut transaction, event).await.unwrap();
    assert_eq!(outcome, MarkOutcome::First);
    write_effect(&mut transaction, "evt_1").await.unwrap();
    SqliteLog::commit(transaction).await.unwrap();
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

/// `INSERT OR IGNORE` would pass over it as if the event were there.
#[tokio::test]
async fn a_failed_check_is_an_error_and_not_a_duplicate() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 2).await;
    let checked = SqliteLog::SCHEMA.replacen(
        "event_type  TEXT NOT NULL",
        "event_type  TEXT NOT NULL CHECK (event_type <> 'refused')",
        1,
    );
    assert_ne!(checked, SqliteLog::SCHEMA);
    let statements = format!("DROP TABLE stripe_processed_events; {checked}");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(log.pool()).await.unwrap();
    let event = EventRef::new("evt_1").unwrap();
    let refused = event.with_type("refused");
    let owner = Owner::random().unwrap();
    let mut transaction = log.begin().await.unwrap();
    let errors = [
        log.try_mark_event(refused).await.unwrap_err(),
        log.claim(refused, owner, LEASE).await.unwrap_err(),
        log.try_mark_in(&mut transaction, refused).await.unwrap_err(),
    ];
    SqliteLog::rollback(transaction).await.unwrap();
    for error in errors {
        assert!(error.to_string().contains("the table does not take the event"), "{error}");
    }
    let claimed = log.claim(event, owner, LEASE).await.unwrap();
    assert_eq!(claimed, ClaimOutcome::Acquired { token: 1 }, "nothing was left behind");
    assert!(log.complete("evt_1", Ownership { owner, token: 1 }).await.unwrap());
}

#[tokio::test]
async fn a_constraint_that_fails_at_the_commit_blames_the_body() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 1).await;
    let effects = "CREATE TABLE accounts (id INTEGER PRIMARY KEY); \
         CREATE TABLE effects (event_id TEXT NOT NULL, \
         account INTEGER DEFAULT 1 REFERENCES accounts DEFERRABLE INITIALLY DEFERRED)";
    sqlx::raw_sql(effects).execute(log.pool()).await.unwrap();
    let write = "INSERT INTO effects (event_id) VALUES ('evt_1')";
    let error = do_only(&log, "evt_1", write).await.unwrap_err().to_string();
    assert!(
        error.contains("a constraint that is checked at the commit refuses what the body wrote"),
        "{error}"
    );
    assert_eq!(effects_of(&log, "evt_1").await, 0);
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "nothing was committed");
}

#[idempotent_webhook(transaction(tx))]
async fn do_only(log: &SqliteLog, event: &str, then: &'static str) -> Result<Outcome<()>, Error> {
    run(tx, then).await?;
    Ok(Outcome::Processed(()))
}

/// As somebody's own statement may leave it: neither live nor released.
#[tokio::test]
async fn a_claimed_row_without_a_lease_is_taken_over() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 3).await;
    sqlx::query(
        "INSERT INTO stripe_processed_events (event_id, event_type, state, fencing_token) VALUES ('evt_1', '', 0, 4)",
    )
    .execute(log.pool())
    .await
    .unwrap();
    let owner = ferro_idem::Owner::random().unwrap();
    let event = ferro_idem::EventRef::new("evt_1").unwrap();
    let claimed = ferro_idem::ClaimLog::claim(&log, event, owner, Duration::from_mins(1));
    let claimed = tokio::time::timeout(Duration::from_secs(10), claimed).await;
    assert_eq!(claimed.expect("an answer").unwrap(), ferro_idem::ClaimOutcome::Acquired { token: 5 });
}
