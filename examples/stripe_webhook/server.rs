//! The endpoint. This is the part to copy.

use std::error::Error;
use std::iter::successors;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ferro_idem::stripe::{StripeEvent, StripeWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};
use serde_json::Value;

use crate::mishaps::{Mishaps, OnPurpose};

/// Without a unique key on `event_id`, on purpose: a body that ran twice leaves two rows to be seen.
pub(crate) const PAYMENTS: &str = "\
CREATE TABLE IF NOT EXISTS payments (
  event_id   TEXT NOT NULL,
  event_type TEXT NOT NULL,
  customer   TEXT,
  amount     INTEGER,
  currency   TEXT
) STRICT;";

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) log: SqliteLog,
    pub(crate) webhook: StripeWebhook,
    /// The storm's; leave it out of a copy.
    pub(crate) mishaps: Mishaps,
}

/// This is where the extractor `StripeEvent` finds the signing secret.
impl FromRef<App> for StripeWebhook {
    fn from_ref(app: &App) -> Self {
        app.webhook.clone()
    }
}

pub(crate) fn router(app: App) -> Router {
    Router::new().route("/webhook", post(on_event)).with_state(app)
}

/// `event` has been verified by the time the log is asked, and nothing below runs for a duplicate.
///
/// What is written through `tx` is committed together with the event's mark, exactly once. Whatever
/// ends the body before that takes both back, and the redelivery runs: an error, a panic, a sender
/// that hangs up, a crash.
#[idempotent_webhook(log = app.log, transaction(tx))]
async fn on_event(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, AppError> {
    // Thin events carry no object: they are written down without an amount.
    let object: Value = event.object().unwrap_or_default();
    let amount = match event.event_type() {
        "payment_intent.succeeded" => object["amount_received"].as_i64(),
        "invoice.paid" => object["amount_paid"].as_i64(),
        "checkout.session.completed" => object["amount_total"].as_i64(),
        "charge.refunded" => object["amount_refunded"].as_i64().map(|refunded| -refunded),
        _ => None,
    };
    sqlx::query(
        "INSERT INTO payments (event_id, event_type, customer, amount, currency) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(event.id())
    .bind(event.event_type())
    .bind(object["customer"].as_str())
    .bind(amount)
    .bind(object["currency"].as_str())
    .execute(&mut *tx)
    .await?;
    app.mishaps.strike(event.id()).await?;
    // A duplicate is answered 200, so that a sender that cares can tell the two apart.
    Ok(StatusCode::CREATED)
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the event could not be settled")]
    Event(#[from] ferro_idem::Error),
    #[error("the payment could not be written down")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Mishap(#[from] OnPurpose),
}

/// The causes go to this server's own log: the sender is told only whether to deliver again.
impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        // That another delivery is running (409) and mishaps are no news.
        if !matches!(self, Self::Event(ferro_idem::Error::InProgress { .. }) | Self::Mishap(_)) {
            eprintln!("{}", causes(&self));
        }
        match self {
            Self::Event(error) => error.into_response(),
            Self::Database(_) | Self::Mishap(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// The error and what lies behind it, in one line. None of it holds a payload or a secret.
pub(crate) fn causes(error: &dyn Error) -> String {
    let causes: Vec<String> =
        successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}
