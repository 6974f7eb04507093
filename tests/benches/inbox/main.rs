//! An inbox against what is written by hand, over real syncs: receiving, taking and completing, the worker with its
//! handler, a take beside many processed keys and behind a long line, the time to a handler's start, and memory.
//!
//! `cargo bench -p ferro-idem-tests --bench inbox` runs all in about 6 minutes; `-- sqlite` only that database;
//! `-- --worker` only the worker, and
//! `-- --kept 10000000` only the takes beside so many processed keys, which need 1 to 2 GB of disk.

mod by_hand;
mod contest;
mod effect;
#[path = "../report/mod.rs"]
mod report;
mod worker;

use std::env;
use std::error::Error;

use ferro_idem::SqlLog;
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::by_hand::{OnMySql, OnPostgres, OnSqlite};
use crate::contest::{Goals, KEPT, Parts};
use crate::report::{Reach, print_load};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut only: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let kept = only.iter().position(|argument| argument == "--kept").map(|at| {
        only.remove(at);
        only.remove(at).parse::<u32>()
    });
    let only_worker = only.iter().position(|argument| argument == "--worker").map(|at| only.remove(at));
    let parts = Parts {
        kept: kept.clone().transpose()?.unwrap_or(KEPT),
        only_kept: kept.is_some(),
        only_worker: only_worker.is_some(),
    };
    let wants = |database: &str| only.is_empty() || only.iter().any(|only| only == database);
    print_load("before");
    println!("events a second, bodies of 2 KB; medians of {} turns\n", contest::TURNS);
    let mut reach = Reach::default();
    if wants("postgres") {
        let server = Postgres::start_with(&["fsync=on"]).await;
        let pool = PgPoolOptions::new().min_connections(16).max_connections(16);
        let log = SqlLog::new(pool.connect(&server.fresh_database().await).await?);
        contest::run::<OnPostgres>(&log, &Goals { receive: 6.0, process: 6.0 }, parts, &mut reach).await?;
        if !parts.only_kept {
            worker::run::<OnPostgres>(&log, 6.0, &mut reach).await?;
        }
    }
    if wants("mysql") {
        let server = MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=1"]).await;
        let pool = MySqlPoolOptions::new().min_connections(16).max_connections(16);
        let log = SqlLog::new(pool.connect(&server.fresh_database().await).await?);
        contest::run::<OnMySql>(&log, &Goals { receive: 10.0, process: 8.0 }, parts, &mut reach).await?;
        if !parts.only_kept {
            worker::run::<OnMySql>(&log, 8.0, &mut reach).await?;
        }
    }
    if wants("sqlite") {
        let folder = tempfile::tempdir()?;
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("inbox.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().min_connections(16).max_connections(16);
        let log = SqlLog::new(pool.connect_with(options).await?);
        contest::run::<OnSqlite>(&log, &Goals { receive: 8.0, process: 4.0 }, parts, &mut reach).await?;
        if !parts.only_kept {
            worker::run::<OnSqlite>(&log, 4.0, &mut reach).await?;
        }
    }
    print_load("after");
    reach.print();
    Ok(())
}
