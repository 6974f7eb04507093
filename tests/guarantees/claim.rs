//! Claim, on every log that has it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::StatusCode;
use ferro_idem::{ClaimLog, Error, EventRef, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook};
use ferro_idem_tests::{broken, drop_after_polls};
use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::sync::Notify;

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Reply,
    Fail,
    Panic,
    Hang,
}

#[idempotent_webhook(claim(c))]
async fn handle<L: ClaimLog>(log: &L, event: &str, ending: Ending) -> Result<Outcome<u64>, Error> {
    match ending {
        Ending::Reply => Ok(Outcome::Processed(c.attempt())),
        Ending::Fail => Err(broken()),
        Ending::Panic => panic!("in the body"),
        Ending::Hang => std::future::pending().await,
    }
}

#[tokio::test]
async fn smoke() {
    let log = MemoryProcessedLog::new();
    assert_eq!(handle(&log, "evt_1", Ending::Reply).await.unwrap(), Outcome::Processed(1));
    assert_eq!(handle(&log, "evt_1", Ending::Reply).await.unwrap(), Outcome::Duplicate);
    assert!(handle(&log, "evt_2", Ending::Fail).await.is_err());
    assert_eq!(handle(&log, "evt_2", Ending::Reply).await.unwrap(), Outcome::Processed(2));
}
