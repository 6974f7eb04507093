//! Slack's Events API on axum. Slack waits 3 seconds: the work has less than that, or the claim is given back and Slack
//! delivers again, at most 3 times.
//!
//! ```text
//! cargo run --example slack_events
//! ```
//!
//! It plays Slack against itself: the signed handshake `url_verification`, then 200 events, each up to 4 times at once.
//! One body in ten fails after its effect. The exit code is 0 if nothing was lost or doubled.

#[path = "storm/mod.rs"]
mod storm;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ferro_idem::sender::slack::{SlackEvent, SlackWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};
use tokio::net::TcpListener;

/// Slack gives up on an answer after 3 seconds.
const MAX_WORK: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct App {
    log: SqliteLog,
    slack: SlackWebhook,
}

/// The extractor `SlackEvent` gets the secret from here.
impl FromRef<App> for SlackWebhook {
    fn from_ref(app: &App) -> Self {
        app.slack.clone()
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Event(#[from] ferro_idem::Error),
    #[error("the message could not be sent")]
    Chat(#[from] sqlx::Error),
    #[error("the message takes too long")]
    TooLong(#[from] tokio::time::error::Elapsed),
    #[error("failed on purpose")]
    OnPurpose,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Event(error) => error.into_response(),
            Self::Chat(_) | Self::TooLong(_) | Self::OnPurpose => {
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Handshakes are answered by the extractor. They do not get here.
#[idempotent_webhook(log = app.log, claim(c))]
async fn on_event(State(app): State<App>, event: SlackEvent) -> Result<StatusCode, AppError> {
    let sending =
        async { storm::send_message(app.log.pool(), event.id(), &c.idempotency_key("message")).await };
    tokio::time::timeout(MAX_WORK, sending).await??;
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
    let slack = SlackWebhook::new("8f742231b10e8888abcd99yyyzzz85a5");

    let router = Router::new().route("/slack", post(on_event)).with_state(App { log, slack: slack.clone() });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/slack", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());

    let sign = |body: String| {
        let [time, signature] = slack.sign(body.as_bytes(), SystemTime::now())?;
        let headers = vec![("X-Slack-Request-Timestamp", time), ("X-Slack-Signature", signature)];
        Ok(storm::Request { headers, body })
    };
    let handshake = sign(r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#.to_owned())?;
    let challenge = storm::text(&url, &handshake).await?;
    println!("url_verification is answered with {challenge}");
    if challenge != "3eZbrw1a" {
        return Err("the handshake failed".into());
    }
    let event = |number| {
        sign(format!(
            r#"{{"type":"event_callback","event_id":"Ev{number}","event":{{"type":"app_mention"}}}}"#
        ))
    };
    let ended = storm::storm(&url, &pool, event).await;
    pool.close().await;
    ended
}
