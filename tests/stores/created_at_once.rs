//! Processes that start together create one table.

use ferro_idem::{MySqlLog, PostgresLog, ProcessedEventLog, SqliteLog};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use futures_util::future::join_all;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

const PROCESSES: u32 = 8;

/// Each with a connection that is open already, so that they meet.
macro_rules! created_at_once_with {
    ($log:ident, $pool:expr) => {
        for round in 0..10 {
            let table = format!("events_{round}");
            let logs: Vec<$log> =
                (0..PROCESSES).map(|_| $log::new($pool.clone()).with_table(&table).unwrap()).collect();
            for created in join_all(logs.iter().map($log::create_table)).await {
                created.unwrap();
            }
            assert!(logs[0].try_mark_processed("evt_1").await.unwrap());
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn processes_that_start_together_create_one_table_in_postgres() {
    let options = PgPoolOptions::new().max_connections(PROCESSES).min_connections(PROCESSES);
    let pool = options.connect(&Postgres::shared().await.fresh_database().await).await.unwrap();
    created_at_once_with!(PostgresLog, pool);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn processes_that_start_together_create_one_table_in_mariadb() {
    let options = MySqlPoolOptions::new().max_connections(PROCESSES).min_connections(PROCESSES);
    let pool = options.connect(&MariaDb::shared().await.fresh_database().await).await.unwrap();
    created_at_once_with!(MySqlLog, pool);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_create_one_table_in_sqlite() {
    let folder = TempDir::new().unwrap();
    let file = &folder.path().join("events.db");
    for opened in join_all((0..PROCESSES).map(|_| SqliteLog::open(file))).await {
        opened.unwrap();
    }
}
