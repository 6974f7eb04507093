#[idempotent_webhook(
    event_id = headers.get("x-id"),
    claim,
    only_if = headers.contains_key("x-topic"),
    on_ignored = { StatusCode::ACCEPTED },
    processed = |reply| reply.is_success(),
)]
async fn shopify(log: &Log, headers: HeaderMap) -> StatusCode {
    use std::time::Duration;
    ship(Duration::ZERO).await
}
