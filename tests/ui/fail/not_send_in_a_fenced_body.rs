// Row 12 of the macro's checklist.

use std::rc::Rc;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook]
async fn on_event(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
    Ok(())
}

fn must_be_send(_: impl Send) {}

fn main() {
    must_be_send(on_event(&MemoryProcessedLog::new(), "evt_1"));
}
