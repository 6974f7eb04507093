//! A binding of the body is not a parameter.

use ferro_idem::{Error, MemoryProcessedLog, async_trait, idempotent_webhook};

#[async_trait]
trait Handler {
    async fn on_event(&self, id: &str) -> Result<(), Error>;
}

struct App {
    log: MemoryProcessedLog,
}

#[async_trait]
impl Handler for App {
    #[idempotent_webhook(log = self.log)]
    async fn on_event(&self, id: &str) -> Result<(), Error> {
        let event = id;
        let _ = event;
        Ok(())
    }
}

fn main() {}
