//! What a worker tells `tracing`: a test for each event of the inbox in `docs/tracing.md`.
#![cfg(all(feature = "memory", feature = "tracing"))]

#[path = "../../../../tests/tracing/lines.rs"]
mod recorder;

use tokio::time::sleep;
use tracing::Level;

use self::recorder::{Lines, assert_tells};
use super::fences::{claimed, fenced, mark};
use super::*;
use crate::inbox::delivery::TakeLimits;
use crate::inbox::stored::Stored;
use crate::memory::MemoryProcessedLog;

/// Runs a worker over one event until it has left the inbox or is parked, and returns what is logged.
async fn told<F, Fut, R>(handler: F) -> String
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.receive("evt_1", None);
    until_done(&queue, worker(&queue, handler)).await;
    lines.take()
}

async fn until_done<F, Fut, R>(queue: &Arc<Double>, worker: Worker<TestSender, F>)
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    let run = run(worker);
    queue.until(|queue| queue.rows().is_empty() || is_parked(queue, "evt_1")).await;
    run.stop().await;
}

/// The only line with this text. It stands alone if it is a warning: a filter may drop the span.
fn line<'l>(lines: &'l str, text: &str) -> &'l str {
    let mut found = lines.lines().filter(|line| line.contains(text));
    let line = found.next().unwrap_or_else(|| panic!("{text:?} is not in:\n{lines}"));
    assert_eq!(found.next(), None, "{text:?} is there twice");
    if line.contains("WARN") {
        assert_tells(line, &["event_id=evt_1"]);
    }
    line
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_told_in_the_span_of_its_delivery() {
    let told = told(|_| async { Ok::<(), String>(()) }).await;
    let span = [
        "delivery{",
        "event_id=\"evt_1\"",
        "event_type=\"test\"",
        "guarantee=\"inbox\"",
        "worker/tests/mod.rs:",
    ];
    for (event, fields) in [(" first", "attempt=1"), (" processed", "duration_us=")] {
        let line = line(&told, event);
        assert_tells(line, &span);
        assert_tells(line, &[fields]);
    }
    assert!(!told.contains("WARN"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_told_with_its_error_and_its_pause() {
    let runs = Count::default();
    let told = told(move |_| {
        let run = runs.up();
        async move { if run < 2 { Err("the bank is closed") } else { Ok(()) } }
    })
    .await;
    let retried = line(&told, " retried");
    assert_tells(
        retried,
        &["INFO", "attempt=1", "retry_after_ms=", "error=\"the bank is closed\"", "duration_us="],
    );
    assert_tells(line(&told, " retry "), &["INFO", "attempt=2"]);
    assert_tells(line(&told, " processed"), &["INFO"]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_is_a_warning_with_its_error() {
    let told = told(|_| async { Err::<(), _>("the bank is closed") }).await;
    let parked = line(&told, " parked");
    assert_tells(parked, &["WARN", "handler=", "attempt=3", "error=\"the bank is closed\"", "duration_us="]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_time_limit_are_told_as_errors() {
    async fn panics(_: Event) -> Result<(), String> {
        panic!("in the body");
    }
    assert_tells(line(&told(panics).await, " parked"), &["the handler panicked: in the body"]);

    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.receive("evt_1", None);
    until_done(&queue, worker(&queue, |_| std::future::pending::<()>()).with_time_limit(SECOND)).await;
    assert_tells(line(&lines.take(), " parked"), &["the handler did not return within 1s"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_is_told_without_its_payload() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    let stored = Stored { sender: "test", headers: Vec::new(), body: b"{canary" }.encode();
    queue.receive_stored("evt_1", None, stored);
    until_done(&queue, worker(&queue, |_| async {})).await;
    assert_tells(line(&lines.take(), " parked"), &["WARN", "attempt=1", "the event cannot be read"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_kills_its_process_is_a_warning() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record_from(Level::WARN);
    queue.receive("evt_1", None);
    let limits = TakeLimits { events: 1, lease: Duration::ZERO, max_attempts: MAX_ATTEMPTS };
    for _ in 0..MAX_ATTEMPTS {
        // The process dies in the attempt.
        assert_eq!(super::super::Queue::take(&*queue, limits).await.unwrap().taken.len(), 1);
    }
    until_done(&queue, worker(&queue, |_| async {})).await;
    let told = lines.take();
    assert_tells(line(&told, "parked"), &["WARN", "attempt=3", "the process ended during the last attempt"]);
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_fails_is_told_to_be_final() {
    let log = MemoryProcessedLog::new();
    let told = told(move |_| {
        let log = log.clone();
        async move { fenced(&log, async { Err("the bank is closed".to_owned()) }).await }
    })
    .await;
    assert_tells(line(&told, " parked"), &["WARN", "attempt=1", "final under the handler's plain fence"]);
    assert!(!told.contains("processed"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_only_a_fence_has_seen_is_a_warning() {
    let log = MemoryProcessedLog::new();
    mark(&log).await;
    let told = told(move |_| {
        let log = log.clone();
        async move { fenced(&log, async { Ok(()) }).await }
    })
    .await;
    let seen = line(&told, "a plain fence has seen the event before, so it is taken for processed");
    assert_tells(seen, &["WARN", "handler=", "duration_us="]);
    assert_eq!(told.matches("processed").count(), 1, "it is not said to be processed:\n{told}");
}

/// A completed claim is a proof, so there is nothing to warn about.
#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_claim_is_no_warning() {
    let log = MemoryProcessedLog::new();
    claimed(&log, Ok(())).await.unwrap();
    let told = told(move |_| {
        let log = log.clone();
        async move { claimed(&log, Ok(())).await }
    })
    .await;
    assert_tells(line(&told, " processed"), &["INFO"]);
    assert!(!told.contains("WARN"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_a_warning() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.receive("evt_1", None);
    let run = run(worker(&queue, |_| std::future::pending::<()>()).with_lease(30 * SECOND));
    queue.until(|queue| queue.row("evt_1").is_some_and(|row| row.state == State::Running)).await;
    queue.steal("evt_1");
    sleep(15 * SECOND).await;
    let told = lines.take();
    let lost = ["WARN", "guarantee=\"inbox\"", "another delivery took it over", "duration_us="];
    assert_tells(line(&told, " lease lost"), &lost);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_after_a_takeover_is_a_warning() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.receive("evt_1", None);
    let stolen = Arc::clone(&queue);
    let run = run(worker(&queue, move |_| {
        stolen.steal("evt_1");
        async {}
    }));
    sleep(15 * SECOND).await;
    let told = lines.take();
    assert_tells(line(&told, " lease lost"), &["WARN", "reason=\"taken over by another worker\""]);
    assert!(!told.contains("processed"), "{told}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_the_store_refuses_is_a_warning() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.receive("evt_1", None);
    queue.faults.lock().unwrap().completions = u32::MAX;
    let run = run(worker(&queue, |_| async {}).with_lease(10 * SECOND));
    sleep(12 * SECOND).await;
    let told = lines.take();
    let failed = told.lines().find(|line| line.contains(" failed")).unwrap_or_default();
    assert_tells(failed, &["WARN", "event_id=evt_1", "could not complete the event", "no answer"]);
    queue.faults.lock().unwrap().completions = 0;
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_a_shutdown_gives_back_is_told() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.receive("evt_1", None);
    let run = run(worker(&queue, |_| std::future::pending::<()>()).with_drain_limit(SECOND));
    queue.until(|queue| queue.row("evt_1").is_some_and(|row| row.state == State::Running)).await;
    sleep(SECOND / 10).await;
    run.stop().await;
    let told = lines.take();
    assert_tells(line(&told, " withdrawn"), &["INFO", "duration_us="]);
    assert!(!told.contains("WARN"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_cannot_be_read_is_told_once_a_minute() {
    let (lines, queue) = (Lines::default(), Double::new());
    let _recording = lines.record();
    queue.faults.lock().unwrap().takes = u32::MAX;
    let run = run(worker(&queue, |_| async {}));
    sleep(150 * SECOND).await;
    queue.faults.lock().unwrap().takes = 0;
    sleep(30 * SECOND).await;
    let told = lines.take();
    let away: Vec<&str> = told.lines().filter(|line| line.contains("the inbox cannot be read")).collect();
    assert_eq!(away.len(), 3, "{told}");
    assert_tells(
        away[0],
        &["WARN", "could not take events", "connection refused", "failures=1", "retry_after_ms="],
    );
    let again: Vec<&str> = told.lines().filter(|line| line.contains("the inbox can be read again")).collect();
    assert_eq!(again.len(), 1, "{told}");
    assert_tells(again[0], &["INFO", "failures="]);
    run.stop().await;
}
