//! Row 23: everything else runs under edition 2024.

extern crate idem as ferro_idem;

use ferro_idem::{async_trait, idempotent_webhook, Error, MemoryProcessedLog, Outcome, ProcessedEventLog};

#[idempotent_webhook(on_duplicate = { Ok(Outcome::Duplicate) })]
async fn free<L: ProcessedEventLog>(
    log: &L,
    event: impl AsRef<str> + ferro_idem::WebhookEvent,
) -> Result<Outcome<()>, Error> {
    drop(event);
    Ok(Outcome::Processed(()))
}

#[async_trait]
trait Handler {
    async fn handle(&self, event: String) -> Result<Outcome<()>, Error>;
}

#[async_trait]
impl Handler for MemoryProcessedLog {
    #[idempotent_webhook(log = self)]
    async fn handle(&self, event: String) -> Result<Outcome<()>, Error> {
        drop(event);
        Ok(Outcome::Processed(()))
    }
}

#[idempotent_webhook(claim(c, lease = ferro_idem::DEFAULT_LEASE))]
async fn claimed<L: ferro_idem::ClaimLog>(log: &L, event: String) -> Result<Outcome<u64>, Error> {
    drop(event);
    Ok(Outcome::Processed(c.attempt()))
}

#[idempotent_webhook(transaction(tx))]
async fn transacted<L: ferro_idem::TransactionalLog>(log: &L, event: String) -> Result<Outcome<()>, Error> {
    drop((event, tx));
    Ok(Outcome::Processed(()))
}

#[async_trait]
trait Settling {
    async fn claimed(&self, event: String) -> Result<Outcome<u64>, Error>;
}

#[async_trait]
impl Settling for MemoryProcessedLog {
    #[idempotent_webhook(log = self, claim(c))]
    async fn claimed(&self, event: String) -> Result<Outcome<u64>, Error> {
        drop(event);
        Ok(Outcome::Processed(c.attempt()))
    }
}

#[tokio::test]
async fn row_23_edition_2021() {
    let log = MemoryProcessedLog::new();
    assert_eq!(free(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(free(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(log.handle("evt_2".into()).await.unwrap(), Outcome::Processed(()));
    assert_eq!(log.handle("evt_2".into()).await.unwrap(), Outcome::Duplicate);
}

#[tokio::test]
async fn row_23_settling_under_edition_2021() {
    let log = MemoryProcessedLog::new();
    for outcome in [Outcome::Processed(1), Outcome::Duplicate] {
        assert_eq!(claimed(&log, "evt_1".into()).await.unwrap(), outcome);
        assert_eq!(log.claimed("evt_2".into()).await.unwrap(), outcome);
    }
    let (log, _folder) = sqlite().await;
    for outcome in [Outcome::Processed(()), Outcome::Duplicate] {
        assert_eq!(transacted(&log, "evt_1".into()).await.unwrap(), outcome);
    }
}

async fn sqlite() -> (ferro_idem::SqliteLog, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    (ferro_idem::SqliteLog::open(folder.path().join("events.db")).await.unwrap(), folder)
}
