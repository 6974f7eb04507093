#[idempotent_webhook]
async fn on_event(log: &Log, event: Event) {
    event.
}
