use std::path::Path;

use ferro_idem::{Error, SqliteLog};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// Opens a log in a file in `folder`. It does not sync to disk, because no test cuts the power.
///
/// # Panics
///
/// If the file cannot be opened.
pub async fn open_sqlite(folder: &Path, connections: u32) -> SqliteLog {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("events.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off);
    let pool = SqlitePoolOptions::new().max_connections(connections).connect_with(options).await.unwrap();
    let log = SqliteLog::new(pool);
    log.create_table().await.unwrap();
    log
}

/// Creates a table beside the log's, without a unique key: an effect that happens twice has two rows.
///
/// # Panics
///
/// If it cannot be created.
pub async fn create_effects(log: &SqliteLog) {
    let create = sqlx::query("CREATE TABLE IF NOT EXISTS effects (event_id TEXT NOT NULL)");
    create.execute(log.pool()).await.unwrap();
}

/// Writes one effect of the event, in the transaction.
///
/// # Errors
///
/// [`Error::Store`] if it cannot be written.
pub async fn write_effect(tx: &mut SqliteConnection, event: &str) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO effects VALUES (?)").bind(event).execute(tx).await;
    insert.map(drop).map_err(|error| Error::store("write the effect", error))
}

/// Counts the effects of all events.
///
/// # Panics
///
/// If the table cannot be read.
pub async fn effects(log: &SqliteLog) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(log.pool()).await.unwrap()
}

/// Counts the effects of one event.
///
/// # Panics
///
/// If the table cannot be read.
pub async fn effects_of(log: &SqliteLog, event: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects WHERE event_id = ?")
        .bind(event)
        .fetch_one(log.pool())
        .await
        .unwrap()
}
