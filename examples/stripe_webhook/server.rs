//! The endpoint. Copy this part.

use std::error::Error;
use std::iter::successors;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::stripe::{StripeEvent, StripeWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};
use serde_json::Value;

use crate::mishaps::{Mishaps, OnPurpose};

/// There is no unique key on `event_id`, so that a body that ran twice would leave two rows.
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
    pub(crate) github: GithubWebhook,
    /// Only for the storm. Leave it out of a copy.
    pub(crate) mishaps: Mishaps,
}

/// The extractor `StripeEvent` gets the signing secret from here.
impl FromRef<App> for StripeWebhook {
    fn from_ref(app: &App) -> Self {
        app.webhook.clone()
    }
}

impl FromRef<App> for GithubWebhook {
    fn from_ref(app: &App) -> Self {
        app.github.clone()
    }
}

pub(crate) fn router(app: App) -> Router {
    Router::new().route("/webhook", post(on_event)).route("/github", post(on_github)).with_state(app)
}

/// A second sender on the same log. Its `scope` keeps its ids apart from Stripe's.
#[idempotent_webhook(log = app.log, scope = "github", transaction(tx))]
async fn on_github(State(app): State<App>, event: GithubEvent) -> Result<StatusCode, AppError> {
    sqlx::query("INSERT INTO payments (event_id, event_type) VALUES (?, ?)")
        .bind(event.id())
        .bind(event.event_type())
        .execute(&mut *tx)
        .await?;
    Ok(StatusCode::CREATED)
}

/// `event` is verified before the log is asked, and the body does not run for a duplicate.
///
/// Everything written through `tx` is committed together with the event's mark, exactly once. If the body ends early
/// (an error, a panic, a sender that hangs up, a crash), both are rolled back and the next delivery runs.
#[idempotent_webhook(log = app.log, transaction(tx))]
pub(crate) async fn on_event(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, AppError> {
    // Thin events carry no object. They are recorded without an amount.
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
    // A duplicate is answered 200, so 201 tells the first delivery apart.
    Ok(StatusCode::CREATED)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error("the event could not be processed")]
    Event(#[from] ferro_idem::Error),
    #[error("the payment could not be recorded")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Mishap(#[from] OnPurpose),
}

/// The causes go to this server's own log. The sender learns only whether to deliver again.
impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        // A running delivery (409) and a planned mishap are expected.
        if !matches!(self, Self::Event(ferro_idem::Error::InProgress { .. }) | Self::Mishap(_)) {
            eprintln!("{}", causes(&self));
        }
        match self {
            Self::Event(error) => error.into_response(),
            Self::Database(_) | Self::Mishap(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// The error and its causes, in one line. None of them holds a payload or a secret.
pub(crate) fn causes(error: &dyn Error) -> String {
    let causes: Vec<String> =
        successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}
