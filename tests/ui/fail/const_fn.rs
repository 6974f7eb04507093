// Row 7 of the macro's checklist.

use ferro_idem::{MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook]
const fn on_event(log: &MemoryProcessedLog, event: &str) {}

fn main() {}
