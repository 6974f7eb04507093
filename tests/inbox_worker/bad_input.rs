//! Events and settings that cannot work.

use super::*;

#[tokio::test]
async fn a_handler_that_always_fails_is_parked_with_its_last_error() {
    let app = App::new().await;
    let run = run(app.inbox.worker(|_| async { Err::<(), _>("SMTP answered 451\0\u{1b}") }));
    app.receive("evt_1").await;
    app.until_parked().await;
    run.stop().await;
    assert_eq!(app.last_error().await.as_deref(), Some("SMTP answered 451"));
    assert_eq!(app.number("SELECT attempts FROM webhook_inbox").await, 3);
    assert_eq!(app.number("SELECT count(*) FROM webhook_inbox_body").await, 1, "its body stays for a replay");
}

#[tokio::test]
async fn a_handler_that_panics_or_never_returns_is_parked() {
    let app = App::new().await;
    app.receive("evt_1").await;
    let panics = run(app.inbox.worker(|_| async { panic!("it panics") as () }));
    app.until_parked().await;
    panics.stop().await;
    assert_eq!(app.last_error().await.as_deref(), Some("the handler panicked: it panics"));
    let app = App::new().await;
    app.receive("evt_1").await;
    let hangs =
        run(app.inbox.worker(|_| std::future::pending::<()>()).with_time_limit(Duration::from_millis(20)));
    app.until_parked().await;
    hangs.stop().await;
    assert_eq!(app.last_error().await.as_deref(), Some("the handler did not return within 20ms"));
}

#[tokio::test]
async fn an_event_that_can_no_longer_be_read_is_parked_at_once() {
    let app = App::new().await;
    app.receive("evt_1").await;
    sqlx::query("UPDATE webhook_inbox_body SET body = x'01'").execute(app.log.pool()).await.unwrap();
    let run = run(app.inbox.worker(|_| async {}));
    app.until_parked().await;
    run.stop().await;
    assert_eq!(app.last_error().await.as_deref(), Some("the event cannot be read: it is damaged"));
    assert_eq!(app.number("SELECT attempts FROM webhook_inbox").await, 1);
}

#[tokio::test]
async fn no_attempts_are_taken_for_one() {
    let app = App::new().await;
    app.receive("evt_1").await;
    let inbox = app.inbox.clone().with_max_attempts(0);
    let run = run(inbox.worker(|_| async { Err::<(), _>("it fails") }).with_concurrency(0));
    app.until_parked().await;
    run.stop().await;
    assert_eq!(app.number("SELECT attempts FROM webhook_inbox").await, 1);
}

#[tokio::test]
async fn a_worker_without_its_tables_ends_with_what_to_do() {
    let folder = Arc::new(TempDir::new().unwrap());
    let app = App::in_folder(&folder).await;
    let error = run(app.inbox.worker(|_| async {})).ended.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("webhook_inbox"), "{error}");
    assert!(app.inbox.check().await.is_err());
    app.inbox.create_tables().await.unwrap();
    // The database of the tests does not sync to disk.
    let error = app.inbox.check().await.unwrap_err();
    assert!(error.to_string().contains("`synchronous` is OFF"), "{error}");
}

#[tokio::test]
async fn a_worker_whose_pool_is_closed_ends() {
    let app = App::new().await;
    let run = run(app.inbox.worker(|_| async {}));
    app.log.pool().close().await;
    let ended = tokio::time::timeout(PATIENCE, run.ended).await.unwrap().unwrap();
    assert!(ended.is_err());
}

#[tokio::test]
async fn extreme_settings_neither_panic_nor_overflow() {
    let app = App::new().await;
    app.receive("evt_1").await;
    let inbox = app
        .inbox
        .clone()
        .with_max_attempts(u32::MAX)
        .with_backoff(Backoff::exponential(Duration::MAX..Duration::MAX))
        .with_max_body(usize::MAX);
    let worker = inbox.worker(|_| async { Err::<(), _>("it fails") });
    let worker = worker
        .with_concurrency(usize::MAX)
        .with_lease(Duration::MAX)
        .with_time_limit(Duration::MAX)
        .with_drain_limit(Duration::MAX);
    let run = run(worker);
    until(async || app.number("SELECT count(*) FROM webhook_inbox WHERE last_error IS NOT NULL").await == 1)
        .await;
    run.stop().await;
    let worker = app.inbox.worker(|_| async {});
    let worker =
        worker.with_lease(Duration::ZERO).with_time_limit(Duration::ZERO).with_drain_limit(Duration::ZERO);
    let (stop, stopped) = oneshot::channel::<()>();
    let ended =
        tokio::spawn(worker.with_poll_interval(Duration::ZERO).run(async move { drop(stopped.await) }));
    drop(stop);
    ended.await.unwrap().unwrap();
}
