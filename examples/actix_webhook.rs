//! GitHub on actix-web, and the same storm as `github_webhook`.
//!
//! ```text
//! cargo run --example actix_webhook --features actix
//! ```
//!
//! The exit code is 0 if nothing was lost or doubled.

#[path = "storm/mod.rs"]
mod storm;

use std::error::Error;
use std::process::ExitCode;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, PayloadConfig};
use actix_web::{HttpResponse, HttpServer, ResponseError};
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};

struct App {
    log: SqliteLog,
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

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Event(error) => error.status_code(),
            Self::Chat(_) | Self::OnPurpose => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Event(error) => error.error_response(),
            Self::Chat(_) | Self::OnPurpose => HttpResponse::new(self.status_code()),
        }
    }
}

#[idempotent_webhook(log = app.log, claim(c))]
async fn on_event(app: Data<App>, event: GithubEvent) -> Result<HttpResponse, AppError> {
    storm::send_message(app.log.pool(), event.id(), &c.idempotency_key("message")).await?;
    if storm::fails_on_purpose(event.id(), c.attempt()) {
        return Err(AppError::OnPurpose);
    }
    Ok(HttpResponse::Created().finish())
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let went_well = actix_web::rt::System::new().block_on(story())?;
    Ok(if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
#[test]
fn a_storm_loses_nothing_and_doubles_nothing() {
    assert!(actix_web::rt::System::new().block_on(story()).unwrap());
}

async fn story() -> Result<bool, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let log = SqliteLog::open(folder.path().join("events.db")).await?;
    sqlx::raw_sql(storm::EFFECTS).execute(log.pool()).await?;
    let pool = log.pool().clone();
    let github = GithubWebhook::new("It's a Secret to Everybody");

    let app = Data::new(App { log });
    let secret = github.clone();
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(app.clone())
            // The extractor `GithubEvent` gets the secret from here.
            .app_data(secret.clone())
            // GitHub's payloads have up to 25 MB.
            .app_data(PayloadConfig::new(25 * 1024 * 1024))
            .route("/github", web::post().to(on_event))
    });
    let server = server.workers(2).bind("127.0.0.1:0")?;
    let address = *server.addrs().first().ok_or("no address")?;
    let url = format!("http://{address}/github");
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

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
    handle.stop(true).await;
    pool.close().await;
    ended
}
