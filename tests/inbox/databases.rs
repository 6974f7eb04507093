//! Empty inboxes for the tests, on each database.

use std::time::Duration;

use ferro_idem::__inbox::{InboxDatabase, InboxStore, NewDelivery, TakeLimits, Taken};
use ferro_idem::{EventRef, SqlLog};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// The sender of the tests.
pub(crate) const SENDER: &str = "github";

/// Longer than a test takes.
pub(crate) const LEASE: Duration = Duration::from_secs(600);

/// An empty database.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    type D: InboxDatabase;

    async fn fresh() -> Self;

    /// A log with a pool of its own.
    async fn open(&self) -> SqlLog<Self::D>;

    async fn run(log: &SqlLog<Self::D>, statement: &str);

    async fn number(log: &SqlLog<Self::D>, query: &str) -> i64;

    /// Makes the rows of a table 10 hours older.
    fn aged(table: &str) -> String;

    /// Makes what is parked wait again.
    const BACK_FROM_PARKED: &'static str = "UPDATE webhook_inbox SET state = 0 WHERE state = 2";
}

/// An inbox with its tables.
pub(crate) async fn inbox<T: Database>(database: &T) -> InboxStore<T::D> {
    let store = InboxStore::new(&database.open().await, SENDER);
    store.create_tables().await.unwrap();
    store
}

pub(crate) fn delivery(event_id: &str, order_key: Option<&str>) -> NewDelivery {
    let event = EventRef::new(event_id).unwrap().with_type("push");
    NewDelivery::new(event, order_key, event_id.as_bytes().to_vec())
}

pub(crate) fn limits(events: u32) -> TakeLimits {
    TakeLimits { events, lease: LEASE, max_attempts: 3 }
}

/// Takes with the usual lease.
pub(crate) async fn take<D: InboxDatabase>(store: &InboxStore<D>, events: u32) -> Vec<Taken> {
    store.take(limits(events)).await.unwrap().taken
}

/// The ids of the deliveries, in their order.
pub(crate) fn ids(taken: &[Taken]) -> Vec<&str> {
    taken.iter().map(|taken| &*taken.held.event_id).collect()
}

#[derive(Debug)]
pub(crate) struct OnSqlite(TempDir);

impl Database for OnSqlite {
    type D = sqlx::Sqlite;

    async fn fresh() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> SqlLog<sqlx::Sqlite> {
        open_sqlite(self.0.path(), 4).await
    }

    async fn run(log: &SqlLog<sqlx::Sqlite>, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }

    async fn number(log: &SqlLog<sqlx::Sqlite>, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(log.pool()).await.unwrap()
    }

    fn aged(table: &str) -> String {
        format!("UPDATE {table} SET received_at = received_at - 36000000")
    }
}

#[cfg(any())]
#[derive(Debug)]
pub(crate) struct OnPostgres(String);

#[cfg(any())]
impl Database for OnPostgres {
    type D = sqlx::Postgres;

    async fn fresh() -> Self {
        Self(Postgres::shared().await.fresh_database().await)
    }

    async fn open(&self) -> SqlLog<sqlx::Postgres> {
        SqlLog::new(sqlx::PgPool::connect(&self.0).await.unwrap())
    }

    async fn run(log: &SqlLog<sqlx::Postgres>, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }

    async fn number(log: &SqlLog<sqlx::Postgres>, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(log.pool()).await.unwrap()
    }

    fn aged(table: &str) -> String {
        format!("UPDATE {table} SET received_at = received_at - interval '10 hours'")
    }
}

#[cfg(any())]
#[derive(Debug)]
pub(crate) struct OnMySql(String);

#[cfg(any())]
impl Database for OnMySql {
    type D = sqlx::MySql;

    async fn fresh() -> Self {
        Self(MariaDb::shared().await.fresh_database().await)
    }

    async fn open(&self) -> SqlLog<sqlx::MySql> {
        SqlLog::new(sqlx::MySqlPool::connect(&self.0).await.unwrap())
    }

    async fn run(log: &SqlLog<sqlx::MySql>, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }

    async fn number(log: &SqlLog<sqlx::MySql>, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(log.pool()).await.unwrap()
    }

    fn aged(table: &str) -> String {
        format!("UPDATE {table} SET received_at = received_at - INTERVAL 10 HOUR")
    }

    const BACK_FROM_PARKED: &'static str =
        "UPDATE webhook_inbox SET state = 0, due_at = UTC_TIMESTAMP(6) WHERE state = 2";
}

/// A test on every database, named after it.
macro_rules! on_every_database {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::databases::OnSqlite>().await })*
        }
        #[cfg(any())]
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnPostgres>().await })*
        }
        #[cfg(any())]
        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnMySql>().await })*
        }
    };
}
