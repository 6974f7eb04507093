//! `PostgresLog` on PostgreSQL: each handle has a pool of its own, as each process has.

use std::time::Duration;

use ferro_idem::PostgresLog;
use ferro_idem::conformance::Store;
use ferro_idem_tests::servers::Postgres;
use sqlx::postgres::{PgConnection, PgPoolOptions};

use crate::forgetting::forgets;
use crate::inboxes::{BODIES, InboxIn};

/// An empty database.
struct Database {
    url: String,
    /// For a restart, which would disturb the other tests of a shared one.
    own: Option<Postgres>,
}

impl Database {
    async fn fresh(case: &str) -> Self {
        let (url, own) = if case.ends_with("_a_restart") {
            let own = Postgres::start().await;
            (own.fresh_database().await, Some(own))
        } else {
            (Postgres::shared().await.fresh_database().await, None)
        };
        let database = Self { url, own };
        let log = database.open().await;
        log.create_table().await.unwrap();
        let effects = "CREATE TABLE effects (event_id VARCHAR(255) NOT NULL)";
        sqlx::raw_sql(effects).execute(log.pool()).await.unwrap();
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

    async fn forget(&self, log: &PostgresLog, event_id: &str) -> bool {
        forgets(&*log.operations(), event_id).await
    }

    async fn write_effect(&self, lent: &mut PgConnection, event_id: &str) {
        sqlx::query("INSERT INTO effects VALUES ($1)").bind(event_id).execute(lent).await.unwrap();
    }

    async fn effects(&self, log: &PostgresLog, event_id: &str) -> Option<u64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM effects WHERE event_id = $1");
        let effects: i64 = count.bind(event_id).fetch_one(log.pool()).await.unwrap();
        Some(effects.unsigned_abs())
    }

    async fn bodies(&self, log: &PostgresLog) -> Option<u64> {
        let bodies: i64 = sqlx::query_scalar(BODIES).fetch_one(log.pool()).await.unwrap();
        Some(bodies.unsigned_abs())
    }

    async fn roll_back_from_within(&self, lent: &mut PgConnection) -> bool {
        sqlx::raw_sql("ROLLBACK").execute(lent).await.unwrap();
        true
    }
}

ferro_idem::conformance::tests! {
    #[ignore = "needs PostgreSQL: run tests/run"]
    fence, claims, transactions, fence_with_claims, fence_with_transactions, claims_with_transactions,
    replay, replay_in_transactions;
    store = Database::fresh(CASE).await
}

ferro_idem::conformance::tests! {
    #[ignore = "needs PostgreSQL: run tests/run"]
    inbox;
    store = InboxIn(Database::fresh(CASE).await)
}
