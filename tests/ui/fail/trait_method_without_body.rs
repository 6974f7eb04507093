// Row 7 of the macro's checklist.

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

trait Handler {
    #[idempotent_webhook]
    async fn on_event(&self, log: &MemoryProcessedLog, event: &str) -> Result<(), Error>;
}

fn main() {}
