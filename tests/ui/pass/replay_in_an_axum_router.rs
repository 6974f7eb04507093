//! An API that replays, in an axum router, with warnings denied.
#![deny(warnings)]
#![allow(dead_code)]

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use ferro_idem::replay::{IdempotencyKey, TransactionalReplayLog};
use ferro_idem::{Error, SqliteLog, idempotent_webhook};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone)]
struct App {
    log: SqliteLog,
}

struct User {
    id: u64,
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        Ok(Self { id: 1 })
    }
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    amount: usize,
}

enum AppError {
    Replay(Error),
}

impl From<Error> for AppError {
    fn from(error: Error) -> Self {
        Self::Replay(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let Self::Replay(error) = self;
        error.into_response()
    }
}

/// As the documentation has it. The body moves the application.
#[idempotent_webhook(log = app.log, event = key, transaction(tx), replay, fingerprint = &body, scope = user.id, keep = Duration::from_secs(86_400))]
async fn charge(
    State(app): State<App>,
    user: User,
    key: IdempotencyKey,
    body: Bytes,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let app = drop_and_return(app);
    let _ = (&app.log, &tx);
    Ok((StatusCode::CREATED, Json(Receipt { amount: body.len() })))
}

fn drop_and_return(app: App) -> App {
    app.clone()
}

#[idempotent_webhook(log = &app.log, event = key, claim(c), replay)]
async fn claimed(State(app): State<App>, key: IdempotencyKey) -> Result<impl IntoResponse, AppError> {
    drop(app);
    Ok(Json(Receipt { amount: c.event_id().len() }))
}

/// Over any log, with any value.
#[idempotent_webhook(transaction(_tx), replay, event = event)]
async fn generic<L: TransactionalReplayLog, T: Serialize + DeserializeOwned + Send>(
    log: &L,
    event: &str,
    value: T,
) -> Result<T, Error> {
    Ok(value)
}

macro_rules! with_a_keep {
    ($name:ident, $keep:expr, $scope:expr) => {
        #[idempotent_webhook(claim, replay, keep = $keep, scope = $scope, fingerprint = event)]
        async fn $name(log: &SqliteLog, event: &str) -> Result<u8, Error> {
            Ok(1)
        }
    };
}

with_a_keep!(in_a_macro, Duration::from_secs(1), 7_u8.to_string());

/// Names of the expansion are free.
#[allow(clippy::too_many_arguments, reason = "one for each name")]
#[idempotent_webhook(event = key, claim, replay, fingerprint = kept)]
async fn names(
    log: &SqliteLog,
    key: &str,
    kept: &str,
    tag: u8,
    reply: u8,
    shape: u8,
    ok: u8,
    err: u8,
) -> Result<u8, Error> {
    Ok(tag + reply + shape + ok + err)
}

#[async_trait::async_trait]
trait Charges {
    async fn charge(&self, event: &str) -> Result<Receipt, Error>;
}

#[async_trait::async_trait]
impl Charges for App {
    #[idempotent_webhook(log = self.log, transaction(tx), replay, scope = "billing")]
    async fn charge(&self, event: &str) -> Result<Receipt, Error> {
        let _ = tx;
        Ok(Receipt { amount: event.len() })
    }
}

fn router(app: App) -> Router {
    Router::new().route("/charge", post(charge)).route("/claimed", post(claimed)).with_state(app)
}

fn main() {}
