//! Fenced handlers are axum handlers, over a verified Stripe event and over plain JSON.

use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use ferro_idem::stripe::{StripeEvent, StripeWebhook};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[derive(Clone, FromRef)]
struct App {
    log: MemoryProcessedLog,
    stripe: StripeWebhook,
}

#[idempotent_webhook(log = app.log)]
async fn stripe(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, Error> {
    Ok(StatusCode::OK)
}

#[idempotent_webhook(log = app.log, event = payload, scope = "json")]
async fn json(State(app): State<App>, payload: Json<serde_json::Value>) -> StatusCode {
    StatusCode::OK
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, StatusCode> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(StatusCode::BAD_REQUEST)
}

#[idempotent_webhook(
    log = app.log,
    event_id = header(&headers, "x-shopify-event-id")?,
    on_error = |_| Err(StatusCode::SERVICE_UNAVAILABLE),
)]
async fn shopify(State(app): State<App>, headers: HeaderMap) -> Result<StatusCode, StatusCode> {
    Ok(StatusCode::OK)
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/stripe", post(stripe))
        .route("/json", post(json))
        .route("/shopify", post(shopify));
}
