//! A constant `keep` of zero.

use std::time::Duration;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook(claim, replay, keep = Duration::ZERO)]
async fn charge(log: &MemoryProcessedLog, event: &str) -> Result<u32, Error> {
    Ok(1)
}

fn main() {}
