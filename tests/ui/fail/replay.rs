//! What is wrong with `replay` and its arguments, all at once.

use std::time::Duration;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook(replay, fingerprint = body)]
async fn under_a_fence(log: &MemoryProcessedLog, event: &str, body: &[u8]) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, fingerprint = body, keep = KEEP)]
async fn without_replay(log: &MemoryProcessedLog, event: &str, body: &[u8]) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, replay = true)]
async fn with_a_value(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(replay, fingerprint = "body", keep = 86_400, scope = 3)]
async fn constants(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, replay, fingerprnt = body)]
async fn slip(log: &MemoryProcessedLog, event: &str, body: &[u8]) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, replay, fingerprint, keep =)]
async fn without_values(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

const KEEP: Duration = Duration::from_secs(60);

fn main() {}
