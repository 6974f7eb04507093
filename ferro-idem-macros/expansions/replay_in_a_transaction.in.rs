#[idempotent_webhook(
    log = app.log,
    event = key,
    transaction(tx),
    replay,
    fingerprint = &body,
    scope = user.id,
    keep = Duration::from_secs(86_400),
)]
async fn charge(State(app): State<App>, user: User, key: IdempotencyKey, body: Bytes) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let receipt = app.charge(tx, &body).await?;
    Ok((StatusCode::CREATED, Json(receipt)))
}
