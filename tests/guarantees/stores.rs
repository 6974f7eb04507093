//! The stores for the table of guarantees.

use ferro_idem::{MemoryProcessedLog, SqliteLog};
use ferro_idem_tests::{create_effects, open_sqlite};
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

/// Two pools on one file, as two processes have them.
pub(crate) async fn sqlite() -> Store<SqliteLog> {
    let folder = TempDir::new().unwrap();
    let handles = [open_sqlite(folder.path(), 3).await, open_sqlite(folder.path(), 3).await];
    create_effects(&handles[0]).await;
    Store { handles, _folder: Some(folder) }
}
