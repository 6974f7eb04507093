//! Handlers with each of the guarantees. A plain fence never runs a body twice, so its failures are final.
#![cfg(feature = "memory")]

use tokio::time::sleep;

use super::*;
use crate::claim::claim;
use crate::entry::Entry;
use crate::event::EventRef;
use crate::fence::fence;
use crate::memory::MemoryProcessedLog;
use crate::nesting::Site;
use crate::reply::failure::untold;

const SITE: &Site = &Site { name: "a handler", line: 0 };

/// What `#[idempotent_webhook]` makes of a handler.
pub(super) async fn fenced(
    log: &MemoryProcessedLog,
    body: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    match fence(log, EventRef::new("evt_1"), SITE).await {
        Entry::Run(_marked) => body.await,
        Entry::Duplicate => Ok(()),
        Entry::Failed(error) => Err(error.to_string()),
    }
}

/// The fence has seen the event.
pub(super) async fn mark(log: &MemoryProcessedLog) {
    assert!(matches!(fence(log, EventRef::new("evt_1"), SITE).await, Entry::Run(_)));
}

/// What `#[idempotent_webhook(claim)]` makes of a handler.
pub(super) async fn claimed(log: &MemoryProcessedLog, body: Result<(), String>) -> Result<(), String> {
    match claim(log, EventRef::new("evt_1"), 60 * SECOND, SITE).await {
        Entry::Run(guard) => {
            let body = Box::pin(async move { body });
            let is_processed = |reply: &Result<(), String>| reply.is_ok();
            let reply = crate::claim::run_claimed(guard, body, is_processed, untold).await;
            reply.map_err(|error| error.to_string())?
        }
        Entry::Duplicate => Ok(()),
        Entry::Failed(error) => Err(error.to_string()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_under_a_plain_fence_is_parked_at_once() {
    let log = MemoryProcessedLog::new();
    let row = until_parked(move |_| {
        let log = log.clone();
        async move { fenced(&log, async { Err("the bank is closed".to_owned()) }).await }
    })
    .await;
    assert_eq!(row.attempts, 1);
    let error = row.last_error.unwrap();
    assert!(error.starts_with("the bank is closed (final under the handler's plain fence"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_stopped_under_a_plain_fence_is_parked() {
    let (log, queue) = (MemoryProcessedLog::new(), Double::new());
    queue.receive("evt_1", None);
    let run = run(worker(&queue, move |_| {
        let log = log.clone();
        async move { fenced(&log, std::future::pending()).await }
    })
    .with_drain_limit(SECOND));
    queue.until(|queue| queue.row("evt_1").is_some_and(|row| row.state == State::Running)).await;
    sleep(SECOND / 10).await;
    run.stop().await;
    let row = queue.row("evt_1").unwrap();
    assert_eq!(row.state, State::Parked);
    assert!(row.last_error.unwrap().contains("the worker was stopped while the handler ran"));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_plain_fence_after_a_crash_is_no_proof() {
    let (log, queue) = (MemoryProcessedLog::new(), Double::new());
    queue.receive("evt_1", None);
    // The attempt of a process that crashed: the event is marked, and its lease runs out.
    mark(&log).await;
    let limits = crate::inbox::delivery::TakeLimits { events: 1, lease: SECOND, max_attempts: MAX_ATTEMPTS };
    assert_eq!(super::super::Queue::take(&*queue, limits).await.unwrap().taken.len(), 1);
    let run = run(worker(&queue, move |_| {
        let log = log.clone();
        async move { fenced(&log, async { Ok(()) }).await }
    }));
    queue.until(|queue| is_parked(queue, "evt_1")).await;
    let error = queue.row("evt_1").unwrap().last_error.unwrap();
    assert!(error.contains("which is no proof that it is processed"), "{error}");
    assert!(queue.processed.lock().unwrap().is_empty());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_at_the_first_attempt_is_processed() {
    let (log, queue) = (MemoryProcessedLog::new(), Double::new());
    queue.receive("evt_1", None);
    mark(&log).await;
    let run = run(worker(&queue, move |_| {
        let log = log.clone();
        async move { fenced(&log, async { Err("it does not run".to_owned()) }).await }
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_claim_is_proof_at_every_attempt() {
    let (log, queue) = (MemoryProcessedLog::new(), Double::new());
    queue.receive("evt_1", None);
    let limits = crate::inbox::delivery::TakeLimits { events: 1, lease: SECOND, max_attempts: MAX_ATTEMPTS };
    assert_eq!(super::super::Queue::take(&*queue, limits).await.unwrap().taken.len(), 1);
    // The process crashed after the handler's claim was completed.
    claimed(&log, Ok(())).await.unwrap();
    let run = run(worker(&queue, move |_| {
        let log = log.clone();
        async move { claimed(&log, Err("it does not run".to_owned())).await }
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_under_a_claim_runs_again() {
    let (log, queue, runs) = (MemoryProcessedLog::new(), Double::new(), Count::default());
    queue.receive("evt_1", None);
    let counted = runs.clone();
    let run = run(worker(&queue, move |_| {
        let (log, run) = (log.clone(), counted.up());
        async move { claimed(&log, if run < 2 { Err("not yet".to_owned()) } else { Ok(()) }).await }
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(runs.get(), 2);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_in_progress_elsewhere_waits_for_that_lease() {
    let (log, queue) = (MemoryProcessedLog::new(), Double::new());
    queue.receive("evt_1", None);
    let elsewhere = claim(&log, EventRef::new("evt_1"), 40 * SECOND, SITE).await;
    assert!(matches!(elsewhere, Entry::Run(_)));
    std::mem::forget(elsewhere);
    let start = tokio::time::Instant::now();
    let run = run(worker(&queue, move |_| {
        let log = log.clone();
        async move { claimed(&log, Ok(())).await }
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert!((40 * SECOND..=46 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    run.stop().await;
}
