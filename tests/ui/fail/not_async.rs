// Row 7 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook]
pub fn on_event(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

fn main() {}
