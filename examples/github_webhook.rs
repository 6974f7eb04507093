//! GitHub on axum, with effects in another system: a claim runs them at least once, one at a time, and the other system
//! removes what is doubled by the claim's idempotency key.
//!
//! ```text
//! cargo run --example github_webhook
//! ```
//!
//! It plays GitHub against itself: 200 events, each up to 4 times at once. One body in ten fails after its effect. The
//! exit code is 0 if nothing was lost or doubled. The real GitHub never delivers again by itself: an answer of 409 or
//! 503 is a lost event there, unless you redeliver it.

#[path = "storm/mod.rs"]
mod storm;

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};
use tokio::net::TcpListener;

#[derive(Clone)]
struct App {
    log: SqliteLog,
    github: GithubWebhook,
}

/// The extractor `GithubEvent` gets the secret from here.
impl FromRef<App> for GithubWebhook {
    fn from_ref(app: &App) -> Self {
        app.github.clone()
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Event(#[from] ferro_idem::Error),
    #[error("the message could not be sent")]
    Chat(#[from] sqlx::Error),
    #[error("failed on purpose")]
    OnPurpose,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Event(error) => error.into_response(),
            Self::Chat(_) | Self::OnPurpose => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

#[idempotent_webhook(log = app.log, claim(c))]
async fn on_event(State(app): State<App>, event: GithubEvent) -> Result<StatusCode, AppError> {
    storm::send_message(app.log.pool(), event.id(), &c.idempotency_key("message")).await?;
    if storm::fails_on_purpose(event.id(), c.attempt()) {
        return Err(AppError::OnPurpose);
    }
    Ok(StatusCode::CREATED)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    Ok(if story().await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
#[tokio::test]
async fn a_storm_loses_nothing_and_doubles_nothing() {
    assert!(story().await.unwrap());
}

async fn story() -> Result<bool, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let log = SqliteLog::open(folder.path().join("events.db")).await?;
    sqlx::raw_sql(storm::EFFECTS).execute(log.pool()).await?;
    let pool = log.pool().clone();
    let github = GithubWebhook::new("It's a Secret to Everybody");

    // GitHub's payloads have up to 25 MB.
    let router = Router::new()
        .route("/github", post(on_event))
        .layer(DefaultBodyLimit::max(25 * 1024 * 1024))
        .with_state(App { log, github: github.clone() });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/github", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());

    let sign = |number| {
        let body = format!(r#"{{"action":"opened","number":{number}}}"#);
        let headers = vec![
            ("X-Hub-Signature-256", github.sign(body.as_bytes())?),
            ("X-GitHub-Delivery", format!("72d3162e-cc78-11e3-81ab-{number:012}")),
            ("X-GitHub-Event", "issues".to_owned()),
        ];
        Ok(storm::Request { headers, body })
    };
    let ended = storm::storm(&url, &pool, sign).await;
    pool.close().await;
    ended
}
