//! Claim and transaction with the attributes that stand beside them: row 33.

use async_trait::async_trait;
use axum::debug_handler;
use axum::extract::State;
use axum::http::StatusCode;
use ferro_idem::{Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook};
use tracing::instrument;

use super::sqlite::{effects, sqlite, write_effect};

/// `#[debug_handler]` checks a copy of the function without its other attributes: above them, the
/// body cannot use what they bind. Below, it can.
#[debug_handler]
#[idempotent_webhook(claim)]
async fn debug_handler_above_a_claim(
    State(log): State<MemoryProcessedLog>,
    event: String,
) -> Result<StatusCode, Error> {
    drop(event);
    Ok(StatusCode::CREATED)
}

#[idempotent_webhook(claim(c))]
#[debug_handler]
async fn debug_handler_below_a_claim(
    State(log): State<MemoryProcessedLog>,
    event: String,
) -> Result<StatusCode, Error> {
    assert_eq!(c.event_id(), event);
    Ok(StatusCode::CREATED)
}

#[debug_handler]
#[idempotent_webhook(transaction(_tx))]
#[allow(clippy::no_effect_underscore_binding)]
async fn debug_handler_above_a_transaction(
    State(log): State<SqliteLog>,
    event: String,
) -> Result<StatusCode, Error> {
    drop(event);
    Ok(StatusCode::CREATED)
}

#[idempotent_webhook(transaction(tx))]
#[debug_handler]
async fn debug_handler_below_a_transaction(
    State(log): State<SqliteLog>,
    event: String,
) -> Result<StatusCode, Error> {
    write_effect(tx, &event).await?;
    Ok(StatusCode::CREATED)
}

#[tokio::test]
async fn row_33_debug_handler_above_and_below() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for expected in [StatusCode::CREATED, StatusCode::OK] {
        let (claim, transaction) = (|| State(memory.clone()), || State(sqlite.clone()));
        assert_eq!(debug_handler_above_a_claim(claim(), "evt_1".into()).await.unwrap(), expected);
        assert_eq!(debug_handler_below_a_claim(claim(), "evt_2".into()).await.unwrap(), expected);
        assert_eq!(debug_handler_above_a_transaction(transaction(), "evt_1".into()).await.unwrap(), expected);
        assert_eq!(debug_handler_below_a_transaction(transaction(), "evt_2".into()).await.unwrap(), expected);
    }
    assert_eq!(effects(&sqlite).await, 1);
}

#[instrument(skip(log))]
#[idempotent_webhook(claim(c))]
async fn instrument_above_a_claim(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u64>, Error> {
    Ok(Outcome::Processed(c.attempt()))
}

#[idempotent_webhook(claim(c))]
#[instrument(skip(log))]
async fn instrument_below_a_claim(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u64>, Error> {
    Ok(Outcome::Processed(c.attempt()))
}

#[instrument(skip(log))]
#[idempotent_webhook(transaction(tx))]
async fn instrument_above_a_transaction(log: &SqliteLog, event: &str) -> Result<Outcome<u64>, Error> {
    write_effect(tx, event).await?;
    Ok(Outcome::Processed(1))
}

#[idempotent_webhook(transaction(tx))]
#[instrument(skip(log))]
async fn instrument_below_a_transaction(log: &SqliteLog, event: &str) -> Result<Outcome<u64>, Error> {
    write_effect(tx, event).await?;
    Ok(Outcome::Processed(1))
}

#[tokio::test]
async fn row_33_instrument_above_and_below() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for expected in [Outcome::Processed(1), Outcome::Duplicate] {
        assert_eq!(instrument_above_a_claim(&memory, "evt_1").await.unwrap(), expected);
        assert_eq!(instrument_below_a_claim(&memory, "evt_2").await.unwrap(), expected);
        assert_eq!(instrument_above_a_transaction(&sqlite, "evt_1").await.unwrap(), expected);
        assert_eq!(instrument_below_a_transaction(&sqlite, "evt_2").await.unwrap(), expected);
    }
    assert_eq!(effects(&sqlite).await, 2);
}

#[async_trait]
trait Handler {
    async fn above(&self, event: &str) -> Result<Outcome<u64>, Error>;
    async fn below(&self, event: &str) -> Result<Outcome<u64>, Error>;
}

#[async_trait]
impl Handler for MemoryProcessedLog {
    #[instrument(skip(self))]
    #[idempotent_webhook(log = self, claim(c))]
    async fn above(&self, event: &str) -> Result<Outcome<u64>, Error> {
        Ok(Outcome::Processed(c.attempt()))
    }

    #[idempotent_webhook(log = self, claim(c))]
    #[instrument(skip(self))]
    async fn below(&self, event: &str) -> Result<Outcome<u64>, Error> {
        Ok(Outcome::Processed(c.attempt()))
    }
}

#[async_trait]
impl Handler for SqliteLog {
    #[instrument(skip(self))]
    #[idempotent_webhook(log = self, transaction(tx))]
    async fn above(&self, event: &str) -> Result<Outcome<u64>, Error> {
        write_effect(tx, event).await?;
        Ok(Outcome::Processed(1))
    }

    #[idempotent_webhook(log = self, transaction(tx))]
    #[instrument(skip(self))]
    async fn below(&self, event: &str) -> Result<Outcome<u64>, Error> {
        write_effect(tx, event).await?;
        Ok(Outcome::Processed(1))
    }
}

#[tokio::test]
async fn row_33_instrument_above_and_below_under_async_trait() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    let logs: [&dyn Handler; 2] = [&memory, &sqlite];
    for log in logs {
        for expected in [Outcome::Processed(1), Outcome::Duplicate] {
            assert_eq!(log.above("evt_1").await.unwrap(), expected);
            assert_eq!(log.below("evt_2").await.unwrap(), expected);
        }
    }
}
