// Row 26 of the macro's checklist.

use std::time::Duration;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

struct App {
    log: MemoryProcessedLog,
    seconds: u64,
}

#[idempotent_webhook(claim(lease = 120))]
async fn number(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(lease = "2 min"))]
async fn text(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(log = app.log, claim(lease = app.seconds))]
async fn field(app: App, event: &str) -> Result<(), Error> {
    Ok(())
}

const SECONDS: u64 = 120;

#[idempotent_webhook(claim(lease = SECONDS))]
async fn constant(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    let _ = Duration::ZERO;
    Ok(())
}

fn main() {}
