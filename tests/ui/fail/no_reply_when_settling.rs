// Row 28 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};

#[derive(Debug)]
enum AppError {}

#[idempotent_webhook(claim)]
async fn error_without_from(log: &MemoryProcessedLog, event: &str) -> Result<(), AppError> {
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn no_reply_to_a_duplicate(log: &SqliteLog, event: &str) -> Result<u32, Error> {
    let _ = tx;
    Ok(1)
}

#[idempotent_webhook(claim)]
async fn no_way_to_report_an_error(log: &MemoryProcessedLog, event: &str) {}

fn main() {}
