//! A database file to run transactions in.

use ferro_idem::SqliteLog;
use ferro_idem_tests::{create_effects, open_sqlite};
pub(crate) use ferro_idem_tests::{effects, write_effect};
use tempfile::TempDir;

/// Keep the folder as long as the log.
pub(crate) async fn sqlite() -> (SqliteLog, TempDir) {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 2).await;
    create_effects(&log).await;
    (log, folder)
}
