// Row 26 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};

struct App {
    log: MemoryProcessedLog,
    pool: String,
}

struct Invoice {
    number: u64,
}

#[idempotent_webhook(log = app.pool, claim)]
async fn not_a_log_to_claim_in(app: App, event: &str) -> Result<(), Error> {
    let _ = app.log;
    Ok(())
}

#[idempotent_webhook(log = app.pool, transaction(tx))]
async fn not_a_log_to_begin_in(app: App, event: &str) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

#[idempotent_webhook(claim)]
async fn not_an_event_to_claim(log: &MemoryProcessedLog, event: Invoice) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(event_id = invoice.number, transaction(tx))]
async fn not_an_id(log: &SqliteLog, invoice: Invoice) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

fn main() {}
