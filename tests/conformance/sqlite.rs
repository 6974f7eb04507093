//! `SqliteLog`: two pools on one file, as two processes have them.

use std::time::Duration;

use ferro_idem::SqliteLog;
use ferro_idem::conformance::Store;
use ferro_idem_tests::open_sqlite;
use tempfile::TempDir;

/// A file. Every handle has a pool of its own, so that a restart is to open it again.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Store for File {
    type Log = SqliteLog;

    async fn open(&self) -> SqliteLog {
        open_sqlite(self.0.path(), 3).await
    }

    async fn restart(&self) -> bool {
        true
    }

    async fn purge(&self, log: &SqliteLog, older_than: Duration) -> Option<u64> {
        Some(log.purge(older_than).await.unwrap())
    }
}

ferro_idem::conformance::tests! {
    fence, claims, transactions, fence_with_claims, fence_with_transactions, claims_with_transactions;
    store = File::new()
}
