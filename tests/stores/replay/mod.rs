//! `replay` through the attribute and over HTTP, on every log, under each guarantee that it has.

mod api;
mod promises;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ferro_idem::{MemoryProcessedLog, MySqlLog, PostgresLog, RedisLog, SqlDatabase, SqlLog};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::{MariaDb, Postgres, Redis};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use self::api::{Api, CHARGES, Charges, Clerk};

/// A guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Claim,
    Transaction,
}

/// A store. Each handle connects to it anew, as a process does.
#[derive(Clone)]
enum Store {
    Memory(MemoryProcessedLog),
    Sqlite(Arc<TempDir>),
    Postgres(String),
    MariaDb(String),
    Redis { url: String, prefix: String },
}

impl Store {
    #[expect(clippy::unused_async, reason = "as the others")]
    async fn memory() -> Self {
        Self::Memory(MemoryProcessedLog::new())
    }

    async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let log = open_sqlite(folder.path(), 1).await;
        sqlx::raw_sql(CHARGES).execute(log.pool()).await.unwrap();
        Self::Sqlite(Arc::new(folder))
    }

    async fn postgres() -> Self {
        let url = Postgres::shared().await.fresh_database().await;
        let log = postgres(&url);
        log.create_table().await.unwrap();
        sqlx::raw_sql(CHARGES).execute(log.pool()).await.unwrap();
        Self::Postgres(url)
    }

    async fn mariadb() -> Self {
        let url = MariaDb::shared().await.fresh_database().await;
        let log = mariadb(&url);
        log.create_table().await.unwrap();
        sqlx::raw_sql(CHARGES).execute(log.pool()).await.unwrap();
        Self::MariaDb(url)
    }

    async fn redis() -> Self {
        static STORES: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("{}:", STORES.fetch_add(1, Ordering::Relaxed));
        Self::Redis { url: Redis::shared().await.url(), prefix }
    }

    /// The API over a new handle.
    async fn api(&self, by: By, clerk: &Clerk) -> Api {
        let clerk = clerk.clone();
        match self {
            Self::Memory(log) => Api::claiming(log.clone(), log.operations(), clerk),
            Self::Sqlite(folder) => over_sql(open_sqlite(folder.path(), 3).await, by, clerk),
            Self::Postgres(url) => over_sql(postgres(url), by, clerk),
            Self::MariaDb(url) => over_sql(mariadb(url), by, clerk),
            Self::Redis { url, prefix } => {
                let connection = redis::Client::open(&**url).unwrap().get_connection_manager().await.unwrap();
                let log = RedisLog::new(connection).with_key_prefix(&**prefix);
                let operations = log.operations();
                Api::claiming(log, operations, clerk)
            }
        }
    }
}

fn postgres(url: &str) -> PostgresLog {
    PostgresLog::new(PgPoolOptions::new().max_connections(3).connect_lazy(url).unwrap())
}

fn mariadb(url: &str) -> MySqlLog {
    MySqlLog::new(MySqlPoolOptions::new().max_connections(3).connect_lazy(url).unwrap())
}

fn over_sql<D: SqlDatabase>(log: SqlLog<D>, by: By, clerk: Clerk) -> Api
where
    SqlLog<D>: Charges,
{
    let operations = log.operations();
    match by {
        By::Claim => Api::claiming(log, operations, clerk),
        By::Transaction => Api::transacting(log, operations, clerk),
    }
}

macro_rules! on_every_log {
    ($($promise:ident),* $(,)?) => {$(
        mod $promise {
            use super::{By, Store, promises::$promise};

            #[tokio::test]
            async fn claimed_in_memory() {
                $promise(&Store::memory().await, By::Claim).await;
            }

            #[tokio::test]
            async fn claimed_on_sqlite() {
                $promise(&Store::sqlite().await, By::Claim).await;
            }

            #[tokio::test]
            async fn transacted_on_sqlite() {
                $promise(&Store::sqlite().await, By::Transaction).await;
            }

            #[tokio::test]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn claimed_on_postgres() {
                $promise(&Store::postgres().await, By::Claim).await;
            }

            #[tokio::test]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn transacted_on_postgres() {
                $promise(&Store::postgres().await, By::Transaction).await;
            }

            #[tokio::test]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn claimed_on_mariadb() {
                $promise(&Store::mariadb().await, By::Claim).await;
            }

            #[tokio::test]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn transacted_on_mariadb() {
                $promise(&Store::mariadb().await, By::Transaction).await;
            }

            #[tokio::test]
            #[ignore = "needs Redis: run tests/run"]
            async fn claimed_on_redis() {
                $promise(&Store::redis().await, By::Claim).await;
            }
        }
    )*};
}

on_every_log! {
    every_retry_gets_the_first_reply_again,
    another_request_under_the_key_is_422,
    a_retry_of_a_running_request_is_409,
    keys_of_two_tenants_never_meet,
    a_failure_is_not_kept_and_the_retry_runs,
    an_expired_reply_is_410_and_runs_nothing,
    a_forgotten_reply_is_410_and_a_forgotten_event_runs,
    of_retries_at_once_one_runs_and_all_get_its_reply,
    a_hang_up_at_any_await_leaves_one_charge_and_one_reply,
    a_crash_in_the_body_leaves_one_charge_and_one_reply,
}
