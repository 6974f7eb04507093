//! Transaction, on every log that has it.
use ferro_idem::{Error, Outcome, SqliteLog, idempotent_webhook};
use tempfile::TempDir;

#[idempotent_webhook(transaction(tx))]
async fn pay(
    log: &SqliteLog,
    event: &str,
    fail: bool,
) -> Result<Outcome<u64>, Box<dyn std::error::Error + Send + Sync>> {
    sqlx::query("INSERT INTO payments VALUES (?)").bind(event).execute(&mut *tx).await?;
    if fail {
        Err("no")?;
    }
    Ok(Outcome::Processed(1))
}

#[tokio::test]
async fn smoke() {
    let folder = TempDir::new().unwrap();
    let log = SqliteLog::open(folder.path().join("a.db")).await.unwrap();
    sqlx::query("CREATE TABLE payments (id TEXT)").execute(log.pool()).await.unwrap();
    assert!(pay(&log, "evt_1", true).await.is_err());
    assert_eq!(pay(&log, "evt_1", false).await.unwrap(), Outcome::Processed(1));
    assert_eq!(pay(&log, "evt_1", false).await.unwrap(), Outcome::Duplicate);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(log.pool()).await.unwrap();
    assert_eq!(rows, 1);
}
