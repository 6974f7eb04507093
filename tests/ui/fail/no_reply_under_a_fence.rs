// Row 28 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[derive(Debug)]
enum AppError {}

#[idempotent_webhook]
async fn error_without_from(log: &MemoryProcessedLog, event: &str) -> Result<(), AppError> {
    Ok(())
}

#[idempotent_webhook]
async fn no_reply_to_a_duplicate(log: &MemoryProcessedLog, event: &str) -> Result<u32, Error> {
    Ok(1)
}

#[idempotent_webhook]
async fn no_way_to_report_an_error(log: &MemoryProcessedLog, event: &str) {}

fn main() {}
