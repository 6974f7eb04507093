// Row 29 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

struct App {
    log: MemoryProcessedLog,
}

#[idempotent_webhook(lgo = app.log, on_duplicates = Ok(()), retention = 35, claim)]
async fn unknown(app: App, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook]
async fn missing_both(app: App) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(log = app.log, log = app.log, scope = "a", scope = "b")]
async fn repeated(app: App, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(log = "app.log", event = id, event_id = id, scope = "Billing!")]
async fn contradictory(app: App, id: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(log, event_id = "evt_1", scope = billing, on_error = "to_reply")]
async fn values(log: &MemoryProcessedLog) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(log = app.log event = id, scope =, = 3)]
async fn punctuation(app: App, id: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(on_ignored = Ok(()), onlyif = true)]
async fn nothing_is_ignored(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook("evt_1")]
async fn no_key(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(scope = "")]
async fn empty_scope(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(scope = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
async fn long_scope(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

/// Row 30: the callers of a function with mistakes in its arguments are not told that it is missing.
async fn callers(app: App) {
    let _ = unknown(app, "evt_1").await;
    let _ = no_key(&MemoryProcessedLog::new(), "evt_1").await;
}

fn main() {}
