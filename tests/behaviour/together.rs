//! The attribute together with other attributes: row 33.

use async_trait::async_trait;
use axum::debug_handler;
use axum::extract::State;
use axum::http::StatusCode;
use ferro_idem::{Error, MemoryProcessedLog, Outcome, idempotent_webhook};
use tracing::instrument;

#[debug_handler]
#[idempotent_webhook]
async fn debug_handler_above(
    State(log): State<MemoryProcessedLog>,
    event: String,
) -> Result<StatusCode, Error> {
    drop(event);
    Ok(StatusCode::CREATED)
}

#[idempotent_webhook]
#[debug_handler]
async fn debug_handler_below(
    State(log): State<MemoryProcessedLog>,
    event: String,
) -> Result<StatusCode, Error> {
    drop(event);
    Ok(StatusCode::CREATED)
}

#[instrument(skip(log))]
#[idempotent_webhook]
async fn instrument_above(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook]
#[instrument(skip(log))]
async fn instrument_below(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn row_33_debug_handler_above_and_below() {
    let log = MemoryProcessedLog::new();
    for (event, expected) in [("evt_1", StatusCode::CREATED), ("evt_1", StatusCode::OK)] {
        assert_eq!(debug_handler_above(State(log.clone()), event.into()).await.unwrap(), expected);
    }
    for (event, expected) in [("evt_2", StatusCode::CREATED), ("evt_2", StatusCode::OK)] {
        assert_eq!(debug_handler_below(State(log.clone()), event.into()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn row_33_instrument_above_and_below() {
    let log = MemoryProcessedLog::new();
    assert_eq!(instrument_above(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(instrument_above(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(instrument_below(&log, "evt_2").await.unwrap(), Outcome::Processed(()));
    assert_eq!(instrument_below(&log, "evt_2").await.unwrap(), Outcome::Duplicate);
}

#[async_trait]
trait Handler {
    async fn above(&self, event: &str) -> Result<Outcome<()>, Error>;
    async fn below(&self, event: &str) -> Result<Outcome<()>, Error>;
}

#[async_trait]
impl Handler for MemoryProcessedLog {
    #[instrument(skip(self))]
    #[idempotent_webhook(log = self)]
    async fn above(&self, event: &str) -> Result<Outcome<()>, Error> {
        Ok(Outcome::Processed(()))
    }

    #[idempotent_webhook(log = self)]
    #[instrument(skip(self))]
    async fn below(&self, event: &str) -> Result<Outcome<()>, Error> {
        Ok(Outcome::Processed(()))
    }
}

#[tokio::test]
async fn row_33_instrument_above_and_below_under_async_trait() {
    let log = MemoryProcessedLog::new();
    assert_eq!(log.above("evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(log.above("evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(log.below("evt_2").await.unwrap(), Outcome::Processed(()));
    assert_eq!(log.below("evt_2").await.unwrap(), Outcome::Duplicate);
}
