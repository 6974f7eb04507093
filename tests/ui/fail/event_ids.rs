//! What is no text, and cannot be looked into for one.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

struct Id([u8; 16]);

#[idempotent_webhook(event_id = number)]
async fn number(log: &MemoryProcessedLog, number: u64) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(event_id = number.checked_add(1), claim)]
async fn optional_number(log: &MemoryProcessedLog, number: u64) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(event_id = id)]
async fn another_type(log: &MemoryProcessedLog, id: Id) -> Result<(), Error> {
    let _ = id.0;
    Ok(())
}

fn main() {}
