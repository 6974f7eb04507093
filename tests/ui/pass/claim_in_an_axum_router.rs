//! Handlers under claim and transaction are axum handlers.

use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use ferro_idem::stripe::{StripeEvent, StripeWebhook};
use ferro_idem::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};

#[derive(Clone, FromRef)]
struct App {
    memory: MemoryProcessedLog,
    sqlite: SqliteLog,
    stripe: StripeWebhook,
}

#[idempotent_webhook(log = app.memory, claim(c, lease = Duration::from_secs(120)))]
async fn refund(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, Error> {
    println!("{}", c.idempotency_key("refund"));
    Ok(StatusCode::OK)
}

#[idempotent_webhook(log = app.sqlite, transaction(tx))]
async fn invoice_paid(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, Error> {
    sqlx::query("UPDATE accounts SET balance = 0")
        .execute(&mut *tx)
        .await
        .map_err(|error| Error::store("settle the account", error))?;
    Ok(StatusCode::OK)
}

#[idempotent_webhook(log = app.sqlite, event = payload, claim)]
async fn response(State(app): State<App>, payload: Json<serde_json::Value>) -> Response {
    drop((app, payload));
    StatusCode::OK.into_response()
}

#[idempotent_webhook(transaction(tx))]
async fn extracted(State(log): State<SqliteLog>, event: String) -> StatusCode {
    drop((log, event));
    let _: &mut sqlx::SqliteConnection = tx;
    StatusCode::OK
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/refund", post(refund))
        .route("/invoice_paid", post(invoice_paid))
        .route("/response", post(response))
        .route("/extracted", post(extracted));
}
