//! The error is that of the half-typed code alone: the function, its callers and the names in it
//! are still there.
// Row 31 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook]
async fn on_event(log: &MemoryProcessedLog, event: String) -> Result<(), Error> {
    event.
}

async fn caller(log: &MemoryProcessedLog) {
    let _ = on_event(log, String::new()).await;
}

fn main() {}
