// Row 27 of the macro's checklist.

use ferro_idem::{Error, ProcessedEventLog, async_trait, idempotent_webhook};

struct MyLog;

#[async_trait]
impl ProcessedEventLog for MyLog {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        Ok(!event_id.is_empty())
    }
}

struct App {
    log: MyLog,
}

#[idempotent_webhook(log = app.log, claim)]
async fn field(app: App, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c))]
async fn parameter(log: &MyLog, event: &str) -> Result<(), Error> {
    let _ = c.fencing_token();
    Ok(())
}

/// A bound that is enough for a fence.
#[idempotent_webhook(claim)]
async fn generic<L: ProcessedEventLog>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

fn main() {}
