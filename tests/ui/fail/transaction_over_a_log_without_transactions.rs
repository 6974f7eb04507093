// Row 27 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog, idempotent_webhook};

struct App {
    log: MemoryProcessedLog,
}

#[idempotent_webhook(log = app.log, transaction(tx))]
async fn field(app: App, event: &str) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn parameter(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

/// A bound that is enough for a fence.
#[idempotent_webhook(transaction(tx))]
async fn generic<L: ProcessedEventLog>(log: &L, event: &str) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

fn main() {}
