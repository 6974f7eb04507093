//! Handlers that fail, in every way.

use tokio::time::{Instant, sleep};

use super::*;
use crate::inbox::reply::Failure;
use crate::inbox::stored::Stored;
use crate::reply::Settle;

#[tokio::test(start_paused = true)]
async fn a_failed_event_is_delivered_again_after_a_pause() {
    let (queue, runs, start) = (Double::new(), Count::default(), Instant::now());
    queue.receive("evt_1", None);
    let counted = runs.clone();
    let run = run(worker(&queue, move |_| {
        let run = counted.up();
        async move { if run < 3 { Err("not yet") } else { Ok(()) } }
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(runs.get(), 3);
    // Between 1 and 2 seconds, and between 1 and 4.
    assert!((2 * SECOND..=7 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_always_fails_is_parked_with_its_last_error() {
    let row = until_parked(|_| async { Err::<(), _>("SMTP answered 451\0\n") }).await;
    assert_eq!((row.attempts, row.last_error.as_deref()), (MAX_ATTEMPTS, Some("SMTP answered 451")));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_wherever_it_is() {
    let row = until_parked(|_| async { panic!("in the handler's future") as () }).await;
    assert_eq!(row.last_error.as_deref(), Some("the handler panicked: in the handler's future"));
    let row = until_parked(|event: Event| {
        assert!(event.is_null(), "{}", "in the handler itself");
        async {}
    })
    .await;
    assert_eq!(row.attempts, MAX_ATTEMPTS);
    let row = until_parked(|_| async { std::panic::panic_any(7) as () }).await;
    assert_eq!(row.last_error.as_deref(), Some("the handler panicked: without a message"));
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "in a drop");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_it_is_dropped_does_not_run_for_ever() {
    let queue = Double::new();
    queue.receive("evt_1", None);
    let run = run(worker(&queue, |_| async {
        let _panics = PanicsOnDrop;
        std::future::pending::<()>().await;
    })
    .with_time_limit(SECOND));
    queue.until(|queue| is_parked(queue, "evt_1")).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_is_stopped_at_its_limit() {
    let queue = Double::new();
    queue.receive("evt_1", None);
    let start = Instant::now();
    let run = run(worker(&queue, |_| std::future::pending::<()>()).with_time_limit(600 * SECOND));
    queue.until(|queue| queue.row("evt_1").is_some_and(|row| row.last_error.is_some())).await;
    assert!((600 * SECOND..601 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    let error = queue.row("evt_1").unwrap().last_error;
    assert_eq!(error.as_deref(), Some("the handler did not return within 600s"));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_is_parked_at_once() {
    let stored = |body: &[u8]| Stored { sender: "test", headers: Vec::new(), body }.encode();
    let mut newer = stored(b"{}");
    newer[0] = 9;
    for (stored, reason) in [
        (stored(b"not json"), "the event cannot be read: the body is not"),
        (stored(b"panic"), "the event cannot be read: the sender's `decode` panicked"),
        (newer, "the event cannot be read: it was stored by a newer version of this library"),
        (Vec::new(), "the event cannot be read: it is damaged"),
    ] {
        let (queue, runs) = (Double::new(), Count::default());
        queue.receive_stored("evt_1", None, stored);
        let counted = runs.clone();
        let run = run(worker(&queue, move |_| {
            counted.up();
            async {}
        }));
        queue.until(|queue| is_parked(queue, "evt_1")).await;
        run.stop().await;
        let row = queue.row("evt_1").unwrap();
        let error = row.last_error.unwrap();
        assert!(error.starts_with(reason), "{error}");
        assert!(!error.contains("not json"), "the payload is not shown: {error}");
        assert_eq!((row.attempts, runs.get()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_sender_ends_the_worker_and_stays() {
    let queue = Double::new();
    let stored = Stored { sender: "stripe", headers: Vec::new(), body: b"{}" }.encode();
    queue.receive_stored("evt_1", None, stored);
    let error = run(worker(&queue, |_| async {})).ended.await.unwrap().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("the inbox of `test` holds an event of `stripe`"), "{source}");
    let row = queue.row("evt_1").unwrap();
    assert_eq!((row.state, row.attempts), (State::Waiting, 0));
}

/// A reply that says when to come again.
struct Closed;

impl Settle for Closed {
    fn is_processed(&self) -> bool {
        false
    }
}

impl Reply for Closed {
    fn failure(&self) -> Failure {
        Failure::new("closed").with_retry_after(1_000 * SECOND)
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_says_when_to_come_again_is_followed() {
    let queue = Double::new();
    queue.receive("evt_1", None);
    let start = Instant::now();
    let run = run(worker(&queue, |_| async { Closed }));
    queue.until(|queue| is_parked(queue, "evt_1")).await;
    let (least, most) = (2_000 * SECOND, 2_201 * SECOND);
    assert!((least..=most).contains(&start.elapsed()), "{:?}", start.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_process_always_dies_is_parked() {
    let queue = Double::new();
    queue.receive("evt_1", None);
    queue.rows().get_mut(&1).unwrap().attempts = MAX_ATTEMPTS;
    let run = run(worker(&queue, |_| async {}));
    queue.until(|queue| is_parked(queue, "evt_1")).await;
    assert!(queue.processed.lock().unwrap().is_empty());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_fails_is_repeated_while_the_lease_holds() {
    let (queue, runs) = (Double::new(), Count::default());
    queue.receive("evt_1", None);
    queue.faults.lock().unwrap().completions = 3;
    let counted = runs.clone();
    let run = run(worker(&queue, move |_| {
        counted.up();
        sleep(SECOND)
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(runs.get(), 1);
    run.stop().await;
}
