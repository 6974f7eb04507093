//! The second guarantee would take the first delivery for a duplicate.

use ferro_idem::idempotent_webhook as once;
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook]
#[idempotent_webhook]
async fn fenced_twice(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim)]
#[once]
async fn by_another_name(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[ferro_idem::idempotent_webhook]
#[cfg_attr(all(), ferro_idem::idempotent_webhook(claim(c)))]
async fn by_a_condition(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook]
#[tracing::instrument(skip_all)]
#[idempotent_webhook]
async fn with_another_between(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

async fn callers(log: &MemoryProcessedLog) {
    let _ = fenced_twice(log, "evt_1").await;
    let _ = by_another_name(log, "evt_1").await;
}

fn main() {}
