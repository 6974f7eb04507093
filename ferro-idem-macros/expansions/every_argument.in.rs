#[idempotent_webhook(
    log = app.log,
    event_id = shopify_event_id(&headers)?,
    scope = "billing",
    on_duplicate = { Ok(StatusCode::OK) },
    on_error = |error| Err(AppError::Fence(error)),
    crate = ::renamed,
)]
async fn shopify(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<StatusCode, AppError> {
    handle(body).await
}
