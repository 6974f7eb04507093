//! Annotated handlers behind the inbox.

use axum::extract::State;
use axum::http::StatusCode;
use ferro_idem::idempotent_webhook;
use ferro_idem_tests::{effects_of, write_effect};

use super::handlers::{AppError, Handlers};
use super::*;

#[idempotent_webhook(log = app.log, transaction(tx))]
async fn in_transaction(State(app): State<Handlers>, event: GithubEvent) -> Result<StatusCode, AppError> {
    write_effect(tx, event.id()).await?;
    app.try_it()
}

#[idempotent_webhook(log = app.log, claim)]
async fn claimed(State(app): State<Handlers>, event: GithubEvent) -> Result<StatusCode, AppError> {
    app.try_it()
}

#[idempotent_webhook(log = app.log)]
async fn fenced(State(app): State<Handlers>, event: GithubEvent) -> Result<StatusCode, AppError> {
    app.try_it()
}

#[idempotent_webhook(log = app.log, claim)]
async fn with_an_inner_fence(
    State(app): State<Handlers>,
    event: GithubEvent,
) -> Result<StatusCode, AppError> {
    inner_fence(&app.log, &event).await?;
    app.try_it()
}

#[idempotent_webhook(scope = "inner")]
async fn inner_fence(log: &SqliteLog, event: &GithubEvent) -> Result<(), AppError> {
    Ok(())
}

#[tokio::test]
async fn effects_in_the_transaction_are_exactly_once_through_failures() {
    let app = App::new().await;
    let handlers = Handlers::new(&app, 2);
    let state = handlers.clone();
    let run = run(app.inbox.worker(move |event: GithubEvent| in_transaction(State(state.clone()), event)));
    assert_eq!(app.receive("evt_1").await, 202);
    app.until_empty().await;
    run.stop().await;
    assert_eq!((handlers.runs(), effects_of(&app.log, "evt_1").await), (3, 1));
}

#[tokio::test]
async fn an_event_that_was_committed_before_a_crash_is_completed_and_not_parked() {
    let app = App::new().await;
    let handlers = Handlers::new(&app, 0);
    app.receive("evt_1").await;
    // A worker that crashes after the commit: its lease ends, and the event is still in the inbox.
    let state = handlers.clone();
    let crashed = run(app
        .inbox
        .worker(move |event: GithubEvent| {
            let state = state.clone();
            async move {
                in_transaction(State(state), event).await.unwrap();
                std::future::pending::<()>().await;
            }
        })
        .with_lease(Duration::from_millis(500)));
    until(async || effects_of(&app.log, "evt_1").await == 1).await;
    crashed.ended.abort();
    let state = handlers.clone();
    let run = run(app.inbox.worker(move |event: GithubEvent| in_transaction(State(state.clone()), event)));
    app.until_empty().await;
    run.stop().await;
    assert_eq!((handlers.runs(), effects_of(&app.log, "evt_1").await), (1, 1));
}

#[tokio::test]
async fn a_claimed_handler_runs_until_it_succeeds() {
    let app = App::new().await;
    let handlers = Handlers::new(&app, 2);
    let state = handlers.clone();
    let run = run(app.inbox.worker(move |event: GithubEvent| claimed(State(state.clone()), event)));
    app.receive("evt_1").await;
    app.until_empty().await;
    run.stop().await;
    assert_eq!(handlers.runs(), 3);
}

#[tokio::test]
async fn a_failure_under_a_plain_fence_is_parked_and_never_called_processed() {
    let app = App::new().await;
    let handlers = Handlers::new(&app, 1);
    let state = handlers.clone();
    let run = run(app.inbox.worker(move |event: GithubEvent| fenced(State(state.clone()), event)));
    app.receive("evt_1").await;
    app.until_parked().await;
    let error = app.last_error().await.unwrap();
    assert!(error.starts_with("the bank is closed (final under the handler's plain fence"), "{error}");
    assert_eq!(handlers.runs(), 1);
    // Somebody replays it: the fence answers a duplicate, which is still no proof.
    let replay = "UPDATE webhook_inbox SET state = 0, due_at = 0, attempts = 0";
    sqlx::query(replay).execute(app.log.pool()).await.unwrap();
    until(async || app.parked().await == 1).await;
    let error = app.last_error().await.unwrap();
    assert!(error.contains("which is no proof that it is processed"), "{error}");
    run.stop().await;
}

#[tokio::test]
async fn a_fence_inside_of_a_claimed_body_does_not_park_the_event() {
    let app = App::new().await;
    let handlers = Handlers::new(&app, 1);
    let state = handlers.clone();
    let run =
        run(app.inbox.worker(move |event: GithubEvent| with_an_inner_fence(State(state.clone()), event)));
    app.receive("evt_1").await;
    app.until_empty().await;
    run.stop().await;
    assert_eq!(handlers.runs(), 2);
}
