//! A response may carry a failure, in `Ok` too: it counts by its status, or does not compile.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ferro_idem::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};

enum Reply {
    Done,
    Later,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Done => StatusCode::OK.into_response(),
            Self::Later => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

#[idempotent_webhook(claim, on_duplicate = Ok(Reply::Done))]
async fn own_response(log: &MemoryProcessedLog, event: &str) -> Result<Reply, Error> {
    Ok(Reply::Later)
}

#[idempotent_webhook(transaction(tx), on_duplicate = Ok(Reply::Done))]
async fn behind_impl(log: &SqliteLog, event: &str) -> Result<impl IntoResponse, Error> {
    let _ = tx;
    Ok(Reply::Later)
}

fn page() -> impl IntoResponse {
    StatusCode::BAD_GATEWAY
}

#[idempotent_webhook(claim, on_duplicate = unreachable!())]
async fn opaque(log: &MemoryProcessedLog, event: &str) -> Result<impl IntoResponse, Error> {
    Ok(page())
}

#[idempotent_webhook(claim, on_duplicate = Ok(None))]
async fn in_two_layers(log: &MemoryProcessedLog, event: &str) -> Result<Option<Reply>, Error> {
    Ok(Some(Reply::Later))
}

#[idempotent_webhook(claim, on_duplicate = unreachable!())]
async fn generic<R: IntoResponse>(log: &MemoryProcessedLog, event: &str, reply: R) -> Result<R, Error> {
    Ok(reply)
}

type Deep = Result<Option<Option<Option<u8>>>, Error>;

#[idempotent_webhook(claim, on_duplicate = Ok(None))]
async fn in_too_many_layers(log: &MemoryProcessedLog, event: &str) -> Deep {
    Ok(None)
}

fn main() {}
