#[idempotent_webhook(log = app.log, scope = "billing", transaction(tx))]
async fn invoice_paid(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, AppError> {
    sqlx::query("UPDATE accounts SET balance = 0").execute(&mut *tx).await?;
    Ok(StatusCode::OK)
}
