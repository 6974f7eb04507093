//! SIGKILL in the body, and the next delivery in another process.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use ferro_idem::{Error, Outcome, SqliteLog, idempotent_webhook};
use ferro_idem_tests::{create_effects, effects, redeliver, write_effect};
use tempfile::TempDir;

const EVENT: &str = "evt_killed";

/// A store on which a process died in the body of `guarantee`.
async fn store_after_a_kill(guarantee: &str) -> (TempDir, SqliteLog) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let log = SqliteLog::open(&path).await.unwrap();
    create_effects(&log).await;
    let mut process = Command::new(env!("CARGO_BIN_EXE_killed_in_the_body"))
        .arg(guarantee)
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "in the body\n");
    process.kill().unwrap();
    process.wait().unwrap();
    (folder, log)
}

#[idempotent_webhook]
async fn fence(log: &SqliteLog, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn fence_the_mark_stays_and_the_event_never_runs_again() {
    let (_folder, log) = store_after_a_kill("fence").await;
    assert_eq!(fence(&log, EVENT).await.unwrap(), Outcome::Duplicate);
}

#[idempotent_webhook(claim(c, lease = Duration::from_secs(1)))]
async fn claim(log: &SqliteLog, event: &str) -> Result<Outcome<u64>, Error> {
    Ok(Outcome::Processed(c.attempt()))
}

#[tokio::test]
async fn claim_the_lease_runs_out_and_the_next_delivery_runs() {
    let (_folder, log) = store_after_a_kill("claim").await;
    let meanwhile = claim(&log, EVENT).await;
    assert!(matches!(meanwhile, Err(Error::InProgress { .. })), "{meanwhile:?}");
    assert_eq!(redeliver(|| claim(&log, EVENT)).await.unwrap(), Outcome::Processed(2));
    assert_eq!(claim(&log, EVENT).await.unwrap(), Outcome::Duplicate);
}

#[idempotent_webhook(transaction(tx))]
async fn transaction(log: &SqliteLog, event: &str) -> Result<Outcome<()>, Error> {
    write_effect(tx, event).await?;
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn transaction_is_rolled_back_and_the_next_delivery_runs() {
    let (_folder, log) = store_after_a_kill("transaction").await;
    assert_eq!(transaction(&log, EVENT).await.unwrap(), Outcome::Processed(()));
    assert_eq!(transaction(&log, EVENT).await.unwrap(), Outcome::Duplicate);
    assert_eq!(effects(&log).await, 1);
}
