//! The payment endpoint. Copy this file.

use std::path::Path;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use ferro_idem::replay::IdempotencyKey;
use ferro_idem::{SqliteLog, idempotent_webhook};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// What every account has at first.
pub(crate) const OPENING_BALANCE: i64 = 1_000_000;

/// There is no unique key on `charges`, so that a request that is charged twice leaves two rows.
const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS accounts (customer TEXT PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS charges (customer TEXT NOT NULL, request TEXT NOT NULL, amount INTEGER NOT NULL) STRICT;";

#[derive(Clone)]
struct App {
    log: SqliteLog,
}

/// Who calls. A real application authenticates here.
struct Customer {
    id: String,
}

#[derive(Deserialize)]
struct Charge {
    request: String,
    amount: i64,
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    charge: i64,
    amount: i64,
    balance: i64,
}

#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("send the amount as JSON")]
    Malformed(#[from] serde_json::Error),
    #[error("try again later")]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Replay(#[from] ferro_idem::Error),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, self.to_string()).into_response(),
            Self::Database(_) => (StatusCode::SERVICE_UNAVAILABLE, self.to_string()).into_response(),
            Self::Replay(error) => error.into_response(),
        }
    }
}

/// The charge, its mark and its reply are committed together, so a retry is charged nothing and gets the same reply. The
/// scope keeps the keys of customers apart.
#[idempotent_webhook(log = app.log, event = key, transaction(tx), replay, fingerprint = &body, scope = customer.id)]
async fn charge(
    State(app): State<App>,
    customer: Customer,
    key: IdempotencyKey,
    body: Bytes,
) -> Result<(StatusCode, Json<Receipt>), ApiError> {
    let Charge { request, amount } = serde_json::from_slice(&body)?;
    let charge = sqlx::query("INSERT INTO charges (customer, request, amount) VALUES (?, ?, ?)")
        .bind(&customer.id)
        .bind(request)
        .bind(amount)
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
    let balance = sqlx::query_scalar(
        "INSERT INTO accounts VALUES (?1, ?2 - ?3)
         ON CONFLICT (customer) DO UPDATE SET balance = balance - ?3 RETURNING balance",
    )
    .bind(&customer.id)
    .bind(OPENING_BALANCE)
    .bind(amount)
    .fetch_one(&mut *tx)
    .await?;
    Ok((StatusCode::CREATED, Json(Receipt { charge, amount, balance })))
}

impl<S: Send + Sync> FromRequestParts<S> for Customer {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let id = parts.headers.get("x-customer").and_then(|value| value.to_str().ok());
        id.map(|id| Self { id: id.to_owned() }).ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// The endpoint over a database file, whose tables are created.
pub(crate) async fn router(database: &Path) -> Result<Router, Box<dyn std::error::Error>> {
    let log = SqliteLog::open(database).await?;
    sqlx::raw_sql(TABLES).execute(log.pool()).await?;
    // `Json` has no place for a header: the layer marks replayed replies.
    let marked = axum::middleware::from_fn(ferro_idem::replay::layer::axum);
    Ok(Router::new().route("/charges", post(charge)).layer(marked).with_state(App { log }))
}

pub(crate) async fn serve(database: &Path, address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let router = router(database).await?;
    Ok(axum::serve(TcpListener::bind(address).await?, router).await?)
}
