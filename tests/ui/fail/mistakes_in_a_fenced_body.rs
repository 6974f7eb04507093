// Row 11 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, Outcome, idempotent_webhook};

#[idempotent_webhook]
async fn tail(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
    Ok(Outcome::Processed("not a number"))
}

#[idempotent_webhook]
async fn early_return(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
    if event.is_empty() {
        return 7;
    }
    Ok(Outcome::Processed(1))
}

#[idempotent_webhook]
async fn no_tail(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
    1;
}

#[idempotent_webhook]
async fn moved(log: &MemoryProcessedLog, event: String) -> Result<Outcome<u8>, Error> {
    drop(event);
    drop(event);
    Ok(Outcome::Processed(1))
}

fn main() {}
