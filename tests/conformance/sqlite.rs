//! `SqliteLog`: two pools on one file, as two processes have them.

use std::time::Duration;

use ferro_idem::SqliteLog;
use ferro_idem::conformance::Store;
use ferro_idem_tests::{create_effects, effects_of, open_sqlite, write_effect};
use sqlx::SqliteConnection;
use tempfile::TempDir;

use crate::forgetting::forgets;
use crate::inboxes::{BODIES, InboxIn};

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
        let log = open_sqlite(self.0.path(), 3).await;
        create_effects(&log).await;
        log
    }

    async fn restart(&self) -> bool {
        true
    }

    async fn purge(&self, log: &SqliteLog, older_than: Duration) -> Option<u64> {
        Some(log.purge(older_than).await.unwrap())
    }

    async fn forget(&self, log: &SqliteLog, event_id: &str) -> bool {
        forgets(&*log.operations(), event_id).await
    }

    async fn write_effect(&self, lent: &mut SqliteConnection, event_id: &str) {
        write_effect(lent, event_id).await.unwrap();
    }

    async fn effects(&self, log: &SqliteLog, event_id: &str) -> Option<u64> {
        Some(effects_of(log, event_id).await.unsigned_abs())
    }

    async fn bodies(&self, log: &SqliteLog) -> Option<u64> {
        let bodies: i64 = sqlx::query_scalar(BODIES).fetch_one(log.pool()).await.unwrap();
        Some(bodies.unsigned_abs())
    }

    async fn roll_back_from_within(&self, lent: &mut SqliteConnection) -> bool {
        sqlx::raw_sql("ROLLBACK").execute(lent).await.unwrap();
        true
    }
}

ferro_idem::conformance::tests! {
    fence, claims, transactions, fence_with_claims, fence_with_transactions, claims_with_transactions,
    replay, replay_in_transactions;
    store = File::new()
}

ferro_idem::conformance::tests! {
    inbox;
    store = InboxIn(File::new())
}
