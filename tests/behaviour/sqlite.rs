//! A database file to run transactions in.

use ferro_idem::{Error, SqliteLog};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

/// Nothing here cuts the power, so nothing waits for the disk. Keep the folder as long as the log.
pub(crate) async fn sqlite() -> (SqliteLog, TempDir) {
    let folder = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("events.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off);
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    let log = SqliteLog::new(pool);
    log.create_table().await.unwrap();
    sqlx::query("CREATE TABLE effects (event_id TEXT NOT NULL)").execute(log.pool()).await.unwrap();
    (log, folder)
}

pub(crate) async fn write_effect(tx: &mut SqliteConnection, event: &str) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO effects VALUES (?)").bind(event).execute(tx).await;
    insert.map(drop).map_err(|error| Error::store("write the effect", error))
}

pub(crate) async fn effects(log: &SqliteLog) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(log.pool()).await.unwrap()
}
