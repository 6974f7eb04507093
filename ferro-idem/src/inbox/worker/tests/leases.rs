//! The lease of an event, while its handler runs and before.

use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_the_handler_runs() {
    let (queue, runs) = (Double::new(), Count::default());
    queue.receive("evt_1", None);
    let counted = runs.clone();
    let handler = move |_| {
        counted.up();
        sleep(100 * SECOND)
    };
    let (one, other) = (handler.clone(), handler);
    let one = run(worker(&queue, one).with_lease(10 * SECOND));
    let other = run(worker(&queue, other).with_lease(10 * SECOND));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(runs.get(), 1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_stopped_when_its_lease_is_lost() {
    struct Stopped(Count);
    impl Drop for Stopped {
        fn drop(&mut self) {
            self.0.up();
        }
    }
    let (queue, stopped) = (Double::new(), Count::default());
    queue.receive("evt_1", None);
    let counted = stopped.clone();
    let run = run(worker(&queue, move |_| {
        let stopped = Stopped(counted.clone());
        async move {
            let _stopped = stopped;
            std::future::pending::<()>().await;
        }
    })
    .with_lease(30 * SECOND));
    queue.until(|queue| queue.row("evt_1").is_some_and(|row| row.state == State::Running)).await;
    queue.steal("evt_1");
    let start = Instant::now();
    queue.until(|_| stopped.get() == 1).await;
    assert!(start.elapsed() <= 11 * SECOND, "at the next renewal: {:?}", start.elapsed());
    let row = queue.row("evt_1").unwrap();
    assert_eq!((row.state, row.last_error), (State::Running, None), "the other worker's row is left alone");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_stopped_before_a_lease_ends_that_cannot_be_renewed() {
    let (queue, runs) = (Double::new(), Count::default());
    queue.receive("evt_1", None);
    queue.faults.lock().unwrap().renewals = true;
    let counted = runs.clone();
    let overlaps = Count::default();
    let seen = overlaps.clone();
    let run = run(worker(&queue, move |_| {
        let (running, seen) = (counted.clone(), seen.clone());
        async move {
            if running.up() > 1 {
                seen.up();
            }
            scopeguard(move || running.down()).await;
        }
    })
    .with_lease(3 * SECOND)
    .with_time_limit(3_600 * SECOND));
    queue.until(|queue| is_parked(queue, "evt_1")).await;
    assert_eq!(overlaps.get(), 0);
    run.stop().await;
}

/// Never ends, and calls `dropped` when it is dropped.
async fn scopeguard(dropped: impl Fn()) {
    struct Guard<F: Fn()>(F);
    impl<F: Fn()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let _guard = Guard(dropped);
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn no_handler_begins_under_a_lease_that_is_nearly_over() {
    let (queue, runs) = (Double::new(), Count::default());
    queue.receive("evt_1", None);
    queue.faults.lock().unwrap().take_time = 6 * SECOND;
    let counted = runs.clone();
    let run = run(worker(&queue, move |_| {
        counted.up();
        async {}
    })
    .with_lease(10 * SECOND));
    sleep(30 * SECOND).await;
    assert_eq!(runs.get(), 0, "the store takes more than half of the lease to answer");
    assert_eq!(
        queue.row("evt_1").unwrap().attempts,
        u32::from(queue.row("evt_1").unwrap().state == State::Running)
    );
    queue.faults.lock().unwrap().take_time = SECOND;
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(runs.get(), 1);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_worker_that_crashed_is_taken_over_after_its_lease() {
    let (queue, runs) = (Double::new(), Count::default());
    queue.receive("evt_1", None);
    let limits =
        crate::inbox::delivery::TakeLimits { events: 1, lease: 30 * SECOND, max_attempts: MAX_ATTEMPTS };
    let taken = super::super::Queue::take(&*queue, limits).await.unwrap();
    assert_eq!(taken.taken.len(), 1);
    let start = Instant::now();
    let counted = runs.clone();
    let run = run(worker(&queue, move |_| {
        counted.up();
        async {}
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert!((30 * SECOND..32 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(runs.get(), 1);
    run.stop().await;
}
