#[idempotent_webhook(lgo = app.log, scope = "Not Allowed", event = a, event = b)]
async fn on_event(app: App) -> Result<(), AppError> {
    Ok(())
}
