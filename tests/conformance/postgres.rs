//! `PostgresLog` on PostgreSQL: each handle has a pool of its own, as each process has.

use std::time::Duration;

use ferro_idem::PostgresLog;
use ferro_idem::conformance::Store;
use ferro_idem_tests::servers::Postgres;
use sqlx::postgres::PgPoolOptions;

/// An empty database.
struct Database {
    url: String,
    /// For a restart, which would disturb the other tests of a shared one.
    own: Option<Postgres>,
}

impl Database {
    async fn fresh(case: &str) -> Self {
        let (url, own) = if case.ends_with("survive_a_restart") {
            let own = Postgres::start().await;
            (own.fresh_database().await, Some(own))
        } else {
            (Postgres::shared().await.fresh_database().await, None)
        };
        let database = Self { url, own };
        database.open().await.create_table().await.unwrap();
        database
    }
}

impl Store for Database {
    type Log = PostgresLog;

    async fn open(&self) -> PostgresLog {
        PostgresLog::new(PgPoolOptions::new().max_connections(4).connect(&self.url).await.unwrap())
    }

    async fn restart(&self) -> bool {
        let Some(own) = &self.own else { return false };
        own.server().kill();
        own.start_again().await;
        true
    }

    async fn purge(&self, log: &PostgresLog, older_than: Duration) -> Option<u64> {
        Some(log.purge(older_than).await.unwrap())
    }
}

ferro_idem::conformance::tests! {
    #[ignore = "needs PostgreSQL: run tests/run"]
    fence, claims, transactions, fence_with_claims, fence_with_transactions, claims_with_transactions;
    store = Database::fresh(CASE).await
}
