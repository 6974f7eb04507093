#[idempotent_webhook(log = &self.log(), claim(c), replay, on_duplicate = Ok(Receipt::expired()))]
async fn charge(&self, event: &str) -> Result<Receipt, AppError> {
    self.bank.charge(event, c.idempotency_key("charge")).await
}
