// Row 7 of the macro's checklist.

use ferro_idem::idempotent_webhook;

#[idempotent_webhook]
/// An event.
pub struct Event {
    pub id: String,
}

fn main() {
    let _ = Event { id: String::new() };
}
