//! A small storm, and the verdict's own tests.

use std::collections::HashSet;

use sqlx::SqlitePool;

use super::*;
use crate::mishaps::Struck;

const EVENTS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_takes_effect_once_and_its_repetition_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("storm.db");
    let exactly_once = Effects { found: EVENTS, ..Effects::default() };

    let first_run = storm(&database, EVENTS).await.unwrap();
    assert_eq!(first_run.effects, exactly_once);
    assert_eq!(first_run.answers.first + first_run.unanswered().unwrap(), EVENTS, "{first_run}");
    assert!(first_run.answers.duplicates > EVENTS / 2, "{first_run}");
    let Struck { errors, panics, hang_ups } = first_run.struck;
    assert!(errors > 0 && panics > 0 && hang_ups > 0, "{first_run}");
    assert!(first_run.answers.redeliveries >= errors + panics + hang_ups, "{first_run}");
    assert!(first_run.answers.refused >= 3, "one of each kind: {first_run}");
    assert!(first_run.balances(), "{first_run}");

    let second_run = storm(&database, EVENTS).await.unwrap();
    assert_eq!(second_run.effects, exactly_once);
    assert_eq!(second_run.answers.first, 0);
    assert_eq!(second_run.answers.duplicates, first_run.answers.first + first_run.answers.duplicates);
    assert_eq!(second_run.struck, Struck::default(), "no body ran, so none went wrong");
    assert_eq!(second_run.answers.refused, first_run.answers.refused);
    assert!(second_run.balances(), "{second_run}");
}

/// Tampers with `payments` after a storm, and repeats the storm for its verdict.
async fn after(tampering: &'static str) -> Ledger {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("storm.db");
    storm(&database, EVENTS).await.unwrap();
    let pool = SqlitePool::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    assert_eq!(sqlx::query(tampering).execute(&pool).await.unwrap().rows_affected(), 1);
    pool.close().await;
    storm(&database, EVENTS).await.unwrap()
}

#[tokio::test]
async fn a_doubled_effect_is_found() {
    let ledger = after("INSERT INTO payments SELECT * FROM payments LIMIT 1").await;
    assert_eq!(ledger.effects, Effects { found: EVENTS + 1, doubled: 1, ..Effects::default() });
    assert!(!ledger.balances());
}

#[tokio::test]
async fn a_lost_effect_is_found() {
    let ledger = after("DELETE FROM payments WHERE rowid = (SELECT max(rowid) FROM payments)").await;
    assert_eq!(ledger.effects, Effects { found: EVENTS - 1, lost: 1, ..Effects::default() });
    assert!(!ledger.balances());
}

#[tokio::test]
async fn an_effect_of_a_forgery_is_found() {
    let ledger = after("UPDATE payments SET customer = 'cus_Forger00000000' WHERE rowid = 1").await;
    assert_eq!(ledger.effects, Effects { found: EVENTS, forged: 1, ..Effects::default() });
    assert!(!ledger.balances());
}

#[test]
fn events_are_the_same_in_every_run() {
    let events = events::events(EVENTS);
    let ids: HashSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), EVENTS);
    assert!(ids.iter().all(|id| id.len() == 28 && id.starts_with("evt_1")));
    assert_eq!(events[7].payload(), events::events(EVENTS)[7].payload());
}

#[test]
fn a_mistake_on_the_command_line_is_named() {
    let parse = |args: &[&str]| Args::parse(args.iter().map(Into::into));
    assert_eq!(
        parse(&["--database", "a.db", "--listen", "127.0.0.1:1"]),
        Ok(Args { database: "a.db".into(), mode: Mode::Listen("127.0.0.1:1".into()) })
    );
    assert_eq!(parse(&["--databse"]), Err("unknown argument `--databse`".into()));
    assert_eq!(parse(&["--database"]), Err("--database needs a file".into()));
}
