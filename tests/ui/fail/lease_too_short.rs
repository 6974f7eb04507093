// Row 29 of the macro's checklist.

use std::time::Duration;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook(claim(lease = Duration::ZERO))]
async fn zero(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(lease = Duration::from_millis(499)))]
async fn too_short_to_be_renewed(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

const LEASE: Duration = Duration::from_millis(1);

#[idempotent_webhook(claim(lease = LEASE))]
async fn too_short_by_name<L: ferro_idem::ClaimLog>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

fn main() {}
