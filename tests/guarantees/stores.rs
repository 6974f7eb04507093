//! Stores to run the table on.

use ferro_idem::{MemoryProcessedLog, SqliteLog};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

/// Independent handles on one store, and what keeps the store there.
pub(crate) struct Store<L> {
    pub(crate) handles: [L; 2],
    pub(crate) _folder: Option<TempDir>,
}

pub(crate) fn memory() -> Store<MemoryProcessedLog> {
    let log = MemoryProcessedLog::new();
    Store { handles: [log.clone(), log], _folder: None }
}

/// Two pools on one file, as two processes have them. Nothing here cuts the power, so nothing waits
/// for the disk.
pub(crate) async fn sqlite() -> Store<SqliteLog> {
    let folder = TempDir::new().unwrap();
    let handles = [open(&folder).await, open(&folder).await];
    sqlx::query("CREATE TABLE effects (event_id TEXT NOT NULL)").execute(handles[0].pool()).await.unwrap();
    Store { handles, _folder: Some(folder) }
}

async fn open(folder: &TempDir) -> SqliteLog {
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("events.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off);
    let pool = SqlitePoolOptions::new().max_connections(3).connect_with(options).await.unwrap();
    let log = SqliteLog::new(pool);
    log.create_table().await.unwrap();
    log
}
