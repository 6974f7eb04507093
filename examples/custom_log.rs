//! A log that the application implements: over its own table, migration and pool.
//!
//! ```text
//! cargo run --example custom_log
//! cargo test --example custom_log     # every promise of a log, by ferro-idem's conformance kit
//! ```

use std::error::Error;
use std::path::Path;

use ferro_idem::{EventRef, Outcome, ProcessedEventLog, async_trait, idempotent_webhook};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

/// One of the application's migrations. The `PRIMARY KEY` is the fence.
const MIGRATION: &str = "\
CREATE TABLE stripe_processed_events (
  event_id    TEXT PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);";

/// One statement, so that the database decides: a `SELECT` before it would let two deliveries through.
const MARK: &str = "\
INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?1, ?2)
ON CONFLICT (event_id) DO NOTHING";

struct AppLog {
    pool: SqlitePool,
}

#[async_trait]
impl ProcessedEventLog for AppLog {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, ferro_idem::Error> {
        self.try_mark_event(EventRef::new(event_id)?).await
    }

    /// The attribute calls this method. It is overridden to record the type.
    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, ferro_idem::Error> {
        let inserted = sqlx::query(MARK)
            .bind(event.id())
            .bind(event.event_type().unwrap_or("unknown"))
            .execute(&self.pool)
            .await
            .map_err(|error| ferro_idem::Error::store("mark the event as processed", error))?;
        Ok(inserted.rows_affected() == 1)
    }
}

#[idempotent_webhook]
async fn on_event(
    log: &AppLog,
    event: serde_json::Value,
) -> Result<Outcome<&'static str>, ferro_idem::Error> {
    Ok(Outcome::Processed("the side effects ran"))
}

async fn migrated_pool(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options).await?;
    sqlx::raw_sql(MIGRATION).execute(&pool).await?;
    Ok(pool)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let pool = migrated_pool(&folder.path().join("app.db")).await?;
    let log = AppLog { pool: pool.clone() };

    for (id, kind) in [("evt_1", "invoice.paid"), ("evt_1", "invoice.paid"), ("evt_2", "charge.refunded")] {
        let event = serde_json::json!({ "id": id, "type": kind });
        println!("{id} {kind}: {:?}", on_event(&log, event).await?);
    }

    println!("\nstripe_processed_events");
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT event_id, event_type, received_at FROM stripe_processed_events")
            .fetch_all(&pool)
            .await?;
    for (event_id, event_type, received_at) in rows {
        println!("  {event_id}  {event_type:<15}  {received_at}");
    }

    pool.close().await;
    folder.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferro_idem::conformance::Store;
    use sqlx::sqlite::SqlitePoolOptions;
    use tempfile::TempDir;

    use super::*;

    /// The store for the kit: a database file. Each handle has a pool of its own, as another process would.
    struct Database(TempDir);

    impl Database {
        async fn migrated() -> Self {
            let folder = tempfile::tempdir().unwrap();
            migrated_pool(&folder.path().join("app.db")).await.unwrap().close().await;
            Self(folder)
        }
    }

    impl Store for Database {
        type Log = AppLog;

        async fn open(&self) -> AppLog {
            let options = SqliteConnectOptions::new()
                .filename(self.0.path().join("app.db"))
                .busy_timeout(Duration::from_secs(30));
            AppLog { pool: SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap() }
        }

        /// The log keeps everything in the file, so a restart opens the file again.
        async fn restart(&self) -> bool {
            true
        }
    }

    // One test for each promise of a fence: `cargo test --example custom_log` lists them.
    ferro_idem::conformance::tests! {
        fence;
        store = Database::migrated().await
    }

    #[tokio::test]
    async fn the_type_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let log = AppLog { pool: migrated_pool(&folder.path().join("app.db")).await.unwrap() };

        on_event(&log, serde_json::json!({ "id": "evt_1", "type": "invoice.paid" })).await.unwrap();

        let recorded: String = sqlx::query_scalar("SELECT event_type FROM stripe_processed_events")
            .fetch_one(&log.pool)
            .await
            .unwrap();
        assert_eq!(recorded, "invoice.paid");
    }
}
