//! Servers that are killed under load keep what they have acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MySqlLog, Outcome, Owner, Ownership, PostgresLog,
    ProcessedEventLog, RedisLog,
};
use ferro_idem_tests::redeliver;
use ferro_idem_tests::servers::{MariaDb, Postgres, Redis, until};
use futures_util::future::join_all;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;

use super::rig::{EFFECTS, OnMariaDb, OnPostgres, Rig, write_in_mariadb, write_in_postgres};

const TASKS: usize = 8;
const KILLS: usize = 3;
const LEASE: Duration = Duration::from_mins(1);

/// A server that can be killed.
trait Killed: Sync {
    async fn kill_and_start_again(&self);
}

impl Killed for Postgres {
    async fn kill_and_start_again(&self) {
        self.server().kill();
        self.start_again().await;
    }
}

impl Killed for MariaDb {
    async fn kill_and_start_again(&self) {
        self.server().kill();
        self.start_again().await;
    }
}

impl Killed for Redis {
    async fn kill_and_start_again(&self) {
        self.server().kill();
        self.start_again().await;
    }
}

/// Runs tasks that do `step` on one id after the other, and kills the server a few times meanwhile. Returns
/// the ids whose step was acknowledged.
async fn acknowledged<F>(server: &impl Killed, step: impl Fn(String) -> F) -> Vec<String>
where
    F: Future<Output = Result<bool, Error>> + Send + 'static,
{
    let is_over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(std::sync::Mutex::new(Vec::new()));
    let under_load = async {
        for kill in 1..=KILLS {
            let load = || async { done.lock().unwrap().len() >= kill * TASKS };
            until("there is load", load).await;
            server.kill_and_start_again().await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    let tasks = (0..TASKS).map(|task| {
        let (is_over, done, step) = (&is_over, &done, &step);
        async move {
            for nth in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let id = format!("evt_{task}_{nth}");
                if let Ok(is_first) = step(id.clone()).await {
                    assert!(is_first, "{id} is new");
                    done.lock().unwrap().push(id);
                }
            }
        }
    });
    tokio::join!(under_load, join_all(tasks));
    let done = std::mem::take(&mut *done.lock().unwrap());
    println!("{} acknowledged through {KILLS} kills", done.len());
    done
}

async fn marks_stay<L: ProcessedEventLog + Clone + 'static>(server: &impl Killed, log: L) {
    let marked = acknowledged(server, |id| {
        let log = log.clone();
        async move { log.try_mark_processed(&id).await }
    })
    .await;
    for id in marked {
        assert!(!redeliver(|| log.try_mark_processed(&id)).await.unwrap(), "{id} was forgotten");
    }
}

async fn completed<L: ClaimLog>(log: &L, id: &str) -> Result<bool, Error> {
    let owner = Owner::random()?;
    match log.claim(EventRef::new(id)?, owner, LEASE).await? {
        ClaimOutcome::Acquired { token } => log.complete(id, Ownership { owner, token }).await,
        _ => Ok(false),
    }
}

async fn completions_stay<L: ClaimLog + Clone + 'static>(server: &impl Killed, log: L) {
    let done = acknowledged(server, |id| {
        let log = log.clone();
        async move { completed(&log, &id).await }
    })
    .await;
    for id in done {
        let claim = || async { log.claim(EventRef::new(&id)?, Owner::random()?, LEASE).await };
        assert_eq!(redeliver(claim).await.unwrap(), ClaimOutcome::Processed, "{id}");
    }
}

async fn postgres() -> (Postgres, PostgresLog) {
    let server = Postgres::start().await;
    let pool = PgPoolOptions::new().max_connections(8);
    let log = PostgresLog::new(pool.connect(&server.fresh_database().await).await.unwrap());
    log.create_table().await.unwrap();
    sqlx::query(EFFECTS).execute(log.pool()).await.unwrap();
    (server, log)
}

async fn mariadb() -> (MariaDb, MySqlLog) {
    let server = MariaDb::start().await;
    let pool = MySqlPoolOptions::new().max_connections(8);
    let log = MySqlLog::new(pool.connect(&server.fresh_database().await).await.unwrap());
    log.create_table().await.unwrap();
    sqlx::query(EFFECTS).execute(log.pool()).await.unwrap();
    (server, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_keeps_marks() {
    let (server, log) = postgres().await;
    marks_stay(&server, log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_keeps_completed_claims() {
    let (server, log) = postgres().await;
    completions_stay(&server, log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_keeps_effects_exactly_once() {
    let (server, log) = postgres().await;
    let written = acknowledged(&server, |id| {
        let log = log.clone();
        async move { write_in_postgres(&log, &id).await.map(|outcome| outcome == Outcome::Processed(())) }
    })
    .await;
    for id in written {
        assert_eq!(redeliver(|| write_in_postgres(&log, &id)).await.unwrap(), Outcome::Duplicate);
        assert_eq!(OnPostgres::effects(&log, &id).await, 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_keeps_marks() {
    let (server, log) = mariadb().await;
    marks_stay(&server, log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_keeps_completed_claims() {
    let (server, log) = mariadb().await;
    completions_stay(&server, log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_keeps_effects_exactly_once() {
    let (server, log) = mariadb().await;
    let written = acknowledged(&server, |id| {
        let log = log.clone();
        async move { write_in_mariadb(&log, &id).await.map(|outcome| outcome == Outcome::Processed(())) }
    })
    .await;
    for id in written {
        assert_eq!(redeliver(|| write_in_mariadb(&log, &id)).await.unwrap(), Outcome::Duplicate);
        assert_eq!(OnMariaDb::effects(&log, &id).await, 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run tests/run"]
async fn redis_keeps_marks() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    marks_stay(&server, log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run tests/run"]
async fn redis_keeps_completed_claims() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    completions_stay(&server, log).await;
}
