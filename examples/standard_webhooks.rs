//! Standard Webhooks on axum, with effects in the log's own database: what is written through `tx` is committed together
//! with the event's mark, exactly once. Svix, Clerk, Resend and others sign in this way too.
//!
//! ```text
//! cargo run --example standard_webhooks
//! ```
//!
//! It plays a sender against itself: 200 events, each up to 4 times at once. One body in ten fails after its effect, which
//! is rolled back. The exit code is 0 if nothing was lost or doubled.

#[path = "storm/mod.rs"]
mod storm;

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ferro_idem::sender::standard::{StandardEvent, StandardWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};
use tokio::net::TcpListener;

#[derive(Clone)]
struct App {
    log: SqliteLog,
    webhook: StandardWebhook,
    /// The attempts of each event, only to fail on purpose. Leave it out of a copy.
    attempts: Arc<Mutex<HashMap<String, u64>>>,
}

/// The extractor `StandardEvent` gets the secret from here.
impl FromRef<App> for StandardWebhook {
    fn from_ref(app: &App) -> Self {
        app.webhook.clone()
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Event(#[from] ferro_idem::Error),
    #[error("the effect could not be written")]
    Database(#[from] sqlx::Error),
    #[error("failed on purpose")]
    OnPurpose,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Event(error) => error.into_response(),
            Self::Database(_) | Self::OnPurpose => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

#[idempotent_webhook(log = app.log, transaction(tx))]
async fn on_event(State(app): State<App>, event: StandardEvent) -> Result<StatusCode, AppError> {
    sqlx::query("INSERT INTO effects (event_id) VALUES (?)").bind(event.id()).execute(&mut *tx).await?;
    if storm::fails_on_purpose(event.id(), app.next_attempt(event.id())) {
        return Err(AppError::OnPurpose);
    }
    Ok(StatusCode::CREATED)
}

impl App {
    fn next_attempt(&self, event_id: &str) -> u64 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry(event_id.to_owned()).or_default();
        *attempt += 1;
        *attempt
    }
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
    let webhook = StandardWebhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

    let app = App { log, webhook: webhook.clone(), attempts: Arc::default() };
    let router = Router::new().route("/webhook", post(on_event)).with_state(app);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());

    let sign = |number| {
        let body = format!(r#"{{"type":"contact.created","data":{{"number":{number}}}}}"#);
        let [id, time, signature] =
            webhook.sign(&format!("msg_{number}"), body.as_bytes(), SystemTime::now())?;
        let headers = vec![("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
        Ok(storm::Request { headers, body })
    };
    let ended = storm::storm(&url, &pool, sign).await;
    pool.close().await;
    ended
}
