//! Which handlers run when, and how a worker stops.

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn an_event_is_delivered_once_and_is_then_processed() {
    let (queue, runs) = (Double::new(), Count::default());
    let counted = runs.clone();
    let run = run(worker(&queue, move |_| {
        counted.up();
        async {}
    }));
    for event in 0..500 {
        queue.receive(&format!("evt_{event}"), None);
    }
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!((runs.get(), queue.processed.lock().unwrap().len()), (500, 500));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_is_woken_at_once() {
    let queue = Double::new();
    let run = run(worker(&queue, |_| async {}).with_poll_interval(3_600 * SECOND));
    sleep(SECOND).await;
    let start = Instant::now();
    queue.receive("evt_1", None);
    queue.until(|queue| queue.rows().is_empty()).await;
    assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_asks_once_for_each_interval() {
    let queue = Double::new();
    let run = run(worker(&queue, |_| async {}).with_poll_interval(10 * SECOND));
    sleep(1_000 * SECOND).await;
    let takes = queue.takes.lock().unwrap().len();
    assert!((100..=135).contains(&takes), "{takes}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn as_many_handlers_run_at_once_as_set() {
    for concurrency in [0, 1, 4] {
        let (queue, running, most) = (Double::new(), Count::default(), Count::default());
        for event in 0..40 {
            queue.receive(&format!("evt_{event}"), None);
        }
        let seen = most.clone();
        let run = run(worker(&queue, move |_| {
            let (running, seen) = (running.clone(), seen.clone());
            async move {
                let now = running.up();
                while seen.get() < now {
                    seen.up();
                }
                sleep(SECOND / 100).await;
                running.down();
            }
        })
        .with_concurrency(concurrency));
        queue.until(|queue| queue.rows().is_empty()).await;
        assert_eq!(most.get() as usize, concurrency.max(1));
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_worker_leaves_events_to_others() {
    let queue = Double::new();
    for event in 0..1_000 {
        queue.receive(&format!("evt_{event}"), None);
    }
    let run = run(worker(&queue, |_| sleep(60 * SECOND)).with_concurrency(4));
    sleep(30 * SECOND).await;
    let running = queue.rows().values().filter(|row| row.state == State::Running).count();
    assert_eq!(running, 4, "the others are free for another process");
    let waited = queue.rows().values().filter(|row| row.state == State::Waiting).all(|row| row.attempts == 0);
    assert!(waited, "an event that was given back has used no attempt");
    queue.until(|queue| queue.processed.lock().unwrap().len() >= 8).await;
    let most = queue.takes.lock().unwrap().iter().copied().max().unwrap();
    assert!(most <= 200, "{most}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_of_one_key_run_one_at_a_time_in_order() {
    let start = Instant::now();
    let (queue, history) = (Double::new(), History::default());
    for event in 0..20 {
        queue.receive(&format!("a{event}"), Some("a"));
        queue.receive(&format!("b{event}"), Some("b"));
    }
    let written = history.clone();
    let failed = Mutex::new(std::collections::HashSet::new());
    let run = run(worker(&queue, move |event: Event| {
        let id = event["id"].as_str().unwrap().to_owned();
        let fails = id == "a3" && failed.lock().unwrap().insert(id.clone());
        let written = written.clone();
        async move {
            sleep(SECOND / 100).await;
            if fails {
                return Err("not yet");
            }
            written.push(id);
            Ok(())
        }
    }));
    queue.until(|queue| queue.rows().is_empty()).await;
    assert!(
        start.elapsed() < 4 * SECOND,
        "the next of a key does not wait for the poll: {:?}",
        start.elapsed()
    );
    run.stop().await;
    for key in ["a", "b"] {
        let of_key: Vec<_> = history.get().into_iter().filter(|id| id.starts_with(key)).collect();
        assert_eq!(of_key, (0..20).map(|event| format!("{key}{event}")).collect::<Vec<_>>());
    }
    let history = history.get();
    let place = |id| history.iter().position(|other| other == id).unwrap();
    assert!(place("b19") < place("a3"), "a failing event holds no other key up: {history:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_running_handlers_finish_and_takes_no_more() {
    let queue = Double::new();
    for event in 0..10 {
        queue.receive(&format!("evt_{event}"), None);
    }
    let run = run(worker(&queue, |_| sleep(10 * SECOND)).with_concurrency(2));
    sleep(SECOND / 2).await;
    let start = Instant::now();
    run.stop().await;
    assert!(start.elapsed() < 10 * SECOND);
    assert_eq!(queue.processed.lock().unwrap().len(), 2);
    for row in queue.rows().values() {
        assert_eq!((row.state, row.attempts), (State::Waiting, 0), "{row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlasts_the_drain_is_stopped_and_given_back() {
    let (queue, dropped) = (Double::new(), Arc::new(Semaphore::new(1)));
    queue.receive("evt_1", None);
    let held = Arc::clone(&dropped);
    let run = run(worker(&queue, move |_| {
        let held = Arc::clone(&held);
        async move {
            let _permit = held.acquire().await;
            std::future::pending::<()>().await;
        }
    })
    .with_drain_limit(2 * SECOND));
    queue.until(|queue| queue.row("evt_1").is_some_and(|row| row.state == State::Running)).await;
    let start = Instant::now();
    run.stop().await;
    assert!((2 * SECOND..3 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    let row = queue.row("evt_1").unwrap();
    assert_eq!((row.state, row.attempts), (State::Waiting, 0));
    assert_eq!(dropped.available_permits(), 1, "the handler's future was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_gives_its_events_back() {
    let queue = Double::new();
    for event in 0..20 {
        queue.receive(&format!("evt_{event}"), None);
    }
    let run = run(worker(&queue, |_| std::future::pending::<()>()).with_concurrency(2));
    sleep(SECOND / 2).await;
    run.ended.abort();
    sleep(SECOND / 100).await;
    let rows = queue.rows();
    assert!(rows.values().all(|row| row.state == State::Waiting), "{rows:?}");
    assert_eq!(rows.values().map(|row| row.attempts).sum::<u32>(), 2, "those that had begun");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_does_not_end_the_worker() {
    let queue = Double::new();
    queue.receive("evt_1", None);
    queue.faults.lock().unwrap().takes = 20;
    let start = Instant::now();
    let run = run(worker(&queue, |_| async {}));
    queue.until(|queue| queue.rows().is_empty()).await;
    let takes = queue.takes.lock().unwrap().len();
    assert!(takes <= 23, "{takes}");
    assert!(start.elapsed() > 60 * SECOND, "pauses grow: {:?}", start.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_heal_ends_the_worker_after_it_has_drained() {
    let queue = Double::new();
    queue.receive("evt_1", None);
    let run = run(worker(&queue, |_| sleep(5 * SECOND)).with_poll_interval(SECOND));
    sleep(SECOND / 2).await;
    *queue.faults.lock().unwrap() =
        super::super::double::Faults { takes: 1, is_permanent: true, ..Default::default() };
    let error = run.ended.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
    assert!(queue.rows().is_empty(), "the running handler has finished");
}
