// Row 26 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

struct App {
    log: MemoryProcessedLog,
    pool: String,
}

#[idempotent_webhook(log = app.pool)]
async fn wrong_field(app: App, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook]
async fn wrong_parameter(log: &App, event: &str) -> Result<(), Error> {
    let _ = &log.log;
    Ok(())
}

#[idempotent_webhook]
async fn missing_bound<L>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

fn main() {}
