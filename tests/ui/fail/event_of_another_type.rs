// Row 26 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

struct Invoice {
    number: u64,
}

#[idempotent_webhook]
async fn wrong_event(log: &MemoryProcessedLog, event: Invoice) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(event_id = invoice.number)]
async fn wrong_id(log: &MemoryProcessedLog, invoice: Invoice) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(only_if = event.len())]
async fn not_a_bool(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

fn main() {}
