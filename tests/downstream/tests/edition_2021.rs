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

#[tokio::test]
async fn row_23_edition_2021() {
    let log = MemoryProcessedLog::new();
    assert_eq!(free(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(free(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(log.handle("evt_2".into()).await.unwrap(), Outcome::Processed(()));
    assert_eq!(log.handle("evt_2".into()).await.unwrap(), Outcome::Duplicate);
}
