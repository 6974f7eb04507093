//! Several processes over one database, and workers that die.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_two_processes_receive_at_once_is_stored_once() {
    let app = App::new().await;
    let other = app.another().await;
    let runs = Arc::new(AtomicU32::new(0));
    let workers = [&app, &other].map(|app| {
        let runs = Arc::clone(&runs);
        run(app.inbox.worker(move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            async {}
        }))
    });
    for event in 0..20 {
        let id = format!("evt_{event}");
        let statuses =
            tokio::join!(app.receive(&id), other.receive(&id), app.receive(&id), other.receive(&id));
        let mut statuses = [statuses.0, statuses.1, statuses.2, statuses.3];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 202]);
    }
    app.until_empty().await;
    assert_eq!(runs.load(Ordering::SeqCst), 20);
    for worker in workers {
        worker.stop().await;
    }
}

#[test]
fn an_event_of_a_process_that_died_is_taken_over() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(App::new());
    runtime.block_on(app.receive("evt_1"));
    // A process of its own: its runtime is gone without a drain, and gives nothing back.
    let dying = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let (starts, begun) = std::sync::mpsc::channel();
    let killed = dying.block_on(app.another());
    let worker = killed.inbox.worker(move |_| {
        starts.send(()).unwrap();
        std::future::pending::<()>()
    });
    let worker = worker.with_lease(Duration::from_millis(600));
    let _running = dying.spawn(worker.run(std::future::pending()));
    begun.recv().unwrap();
    dying.shutdown_background();
    drop(killed);
    runtime.block_on(async {
        let run = run(app.inbox.worker(|_| async {}));
        app.until_empty().await;
        run.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_waits_for_a_handler_that_blocks_its_thread() {
    let app = App::new().await;
    let runs = Arc::new(AtomicU32::new(0));
    app.receive("evt_1").await;
    let counted = Arc::clone(&runs);
    let run = run(app
        .inbox
        .worker(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { std::thread::sleep(Duration::from_millis(1_500)) }
        })
        .with_lease(Duration::from_millis(500)));
    app.until_empty().await;
    assert_eq!(runs.load(Ordering::SeqCst), 1, "its lease is renewed meanwhile");
    run.stop().await;
}

#[tokio::test]
async fn a_worker_drains_at_its_shutdown() {
    let app = App::new().await;
    for event in 0..50 {
        app.receive(&format!("evt_{event}")).await;
    }
    let (starts, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let run = run(app
        .inbox
        .worker(move |_| {
            starts.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(50))
        })
        .with_concurrency(4));
    begun.recv().await.unwrap();
    run.stop().await;
    let left = app.number("SELECT count(*) FROM webhook_inbox WHERE state IN (0, 3) AND attempts = 0").await;
    assert_eq!(left, app.in_inbox().await, "what was not begun is free, and has used no attempt");
    assert!(left < 50);
}
