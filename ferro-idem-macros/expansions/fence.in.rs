#[idempotent_webhook]
/// Ships.
pub async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
    #![allow(unused)]
    ship(event).await?;
    Ok(())
}
