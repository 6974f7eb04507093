//! Handlers with `replay` behind the inbox, which reads no reply.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use ferro_idem::idempotent_webhook;
use ferro_idem_tests::{effects_of, write_effect};

use super::handlers::{AppError, Handlers};
use super::*;

#[idempotent_webhook(log = app.log, transaction(tx), replay, fingerprint = event.id())]
async fn in_transaction(app: Handlers, event: GithubEvent) -> Result<StatusCode, AppError> {
    write_effect(tx, event.id()).await?;
    app.try_it()
}

#[idempotent_webhook(log = app.log, claim, replay)]
async fn claimed(app: Handlers, event: GithubEvent) -> Result<Response, AppError> {
    app.try_it().map(axum::response::IntoResponse::into_response)
}

#[tokio::test]
async fn a_replaying_handler_runs_until_it_succeeds() {
    let app = App::new().await;
    let handlers = [Handlers::new(&app, 2), Handlers::new(&app, 2)];
    let state = handlers[0].clone();
    let run_1 = run(app.inbox.worker(move |event: GithubEvent| in_transaction(state.clone(), event)));
    app.receive("evt_1").await;
    app.until_empty().await;
    run_1.stop().await;
    let state = handlers[1].clone();
    let run_2 = run(app.inbox.worker(move |event: GithubEvent| claimed(state.clone(), event)));
    app.receive("evt_2").await;
    app.until_empty().await;
    run_2.stop().await;
    assert_eq!(handlers.each_ref().map(Handlers::runs), [3, 3]);
    assert_eq!(effects_of(&app.log, "evt_1").await, 1);
}

/// A worker that crashes after the handler has committed: its lease ends, and the event is still in the inbox.
async fn crash_behind<F, Fut, R>(app: &App, handler: F, has_run: impl AsyncFn() -> bool)
where
    F: Fn(GithubEvent) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, AppError>> + Send + 'static,
    R: Send,
{
    let handler = Arc::new(handler);
    let done = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&done);
    let crashed = run(app
        .inbox
        .worker(move |event: GithubEvent| {
            let (running, done) = (handler(event), Arc::clone(&counted));
            async move {
                drop(running.await.unwrap());
                done.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
        })
        .with_lease(Duration::from_millis(500)));
    until(async || done.load(Ordering::SeqCst) == 1 && has_run().await).await;
    crashed.ended.abort();
}

#[tokio::test]
async fn after_a_crash_the_kept_reply_completes_the_event() {
    let app = App::new().await;
    let handlers = Handlers::new(&app, 0);
    app.receive("evt_1").await;
    let state = handlers.clone();
    let handler = move |event: GithubEvent| in_transaction(state.clone(), event);
    crash_behind(&app, handler.clone(), async || effects_of(&app.log, "evt_1").await == 1).await;
    let run = run(app.inbox.worker(handler));
    app.until_empty().await;
    run.stop().await;
    assert_eq!((handlers.runs(), effects_of(&app.log, "evt_1").await), (1, 1));
}

#[tokio::test]
async fn after_a_crash_an_event_without_its_reply_is_completed_and_not_parked() {
    for is_claimed in [false, true] {
        let app = App::new().await;
        let handlers = Handlers::new(&app, 0);
        app.receive("evt_1").await;
        let state = handlers.clone();
        let handler = move |event: GithubEvent| {
            let app = state.clone();
            async move {
                if is_claimed {
                    claimed(app, event).await.map(|response| response.status())
                } else {
                    in_transaction(app, event).await
                }
            }
        };
        crash_behind(&app, handler.clone(), async || handlers.runs() == 1).await;
        let seen = app.log.operations().look("evt_1").await.unwrap().unwrap();
        assert!(app.log.operations().forget_reply(&seen).await.unwrap().is_done());
        let run = run(app.inbox.worker(handler));
        app.until_empty().await;
        run.stop().await;
        assert_eq!(handlers.runs(), 1, "claimed: {is_claimed}");
    }
}
