#[idempotent_webhook(event_id = id)]
/// Ships.
async fn ship(self: Arc<Self>, State(app): State<App>, Event { id, .. }: Event, _: Noted, (mut kept, _): (Noted, Noted), mut log: Log) {
    kept.ship(app).await;
}
