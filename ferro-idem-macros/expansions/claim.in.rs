#[idempotent_webhook(log = self.log, claim(c, lease = Duration::from_secs(120)))]
async fn refund(&self, event: StripeEvent) -> Result<impl IntoResponse, AppError> {
    #![allow(unused)]
    stripe.refund(c.idempotency_key("refund")).await?;
    Ok(())
}
