//! GitHub on axum.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::post;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[derive(Clone, FromRef)]
pub(super) struct App {
    pub(super) log: MemoryProcessedLog,
    pub(super) github: GithubWebhook,
}

#[idempotent_webhook(log = app.log, claim)]
async fn on_event(State(app): State<App>, event: GithubEvent) -> Result<StatusCode, Error> {
    println!("{} in {:?}", event.event_type(), event.repository());
    Ok(StatusCode::OK)
}

pub(super) fn router(app: App) -> Router {
    Router::new().route("/github", post(on_event)).with_state(app)
}
