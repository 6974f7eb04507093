//! A database in trouble: one event fails, the network is slow, connections are dead, or nothing answers.

use std::time::{Duration, Instant};

use ferro_idem::{
    ClaimLog, Error, EventRef, MarkOutcome, ProcessedEventLog, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::drop_after_polls;
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::until;
use futures_util::future::join_all;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::databases::{Database, OnMySql, OnPostgres};

/// A database behind a proxy.
trait BehindProxy: Database {
    fn proxy(&self) -> impl Future<Output = Proxy> + Send + 'static;

    async fn open_through(&self, proxy: &Proxy, connections: u32) -> Self::Log;
}

/// The port of a server's URL.
fn port(url: &str) -> u16 {
    let (_, after_host) = url.rsplit_once(':').unwrap();
    after_host.split('/').next().unwrap().parse().unwrap()
}

impl BehindProxy for OnPostgres {
    fn proxy(&self) -> impl Future<Output = Proxy> + Send + 'static {
        Proxy::before(Protocol::Postgres, port(self.url()))
    }

    async fn open_through(&self, proxy: &Proxy, connections: u32) -> Self::Log {
        let pool = PgPoolOptions::new().max_connections(connections).min_connections(connections);
        ferro_idem::PostgresLog::new(pool.connect(&proxy.url(self.url())).await.unwrap())
    }
}

impl BehindProxy for OnMySql {
    fn proxy(&self) -> impl Future<Output = Proxy> + Send + 'static {
        Proxy::before(Protocol::MySql, port(self.url()))
    }

    async fn open_through(&self, proxy: &Proxy, connections: u32) -> Self::Log {
        let pool = MySqlPoolOptions::new().max_connections(connections).min_connections(connections);
        ferro_idem::MySqlLog::new(pool.connect(&proxy.url(self.url())).await.unwrap())
    }
}

async fn of_a_burst_only_the_refused_event_fails<D: BehindProxy>() {
    let database = D::fresh().await;
    let proxy = database.proxy().await;
    let log = &database.open_through(&proxy, 5).await;
    D::run(log, D::REFUSING[0].to_owned()).await;
    assert!(log.try_mark_processed("before").await.unwrap());
    proxy.delay(Duration::from_millis(10));
    let ids: Vec<String> = (0..1_000).map(|event| format!("evt_{event}")).collect();
    let marks = ids.iter().enumerate().map(|(number, id)| {
        let kind = if number == 333 { "refused" } else { "paid" };
        log.try_mark_event(EventRef::new(id).unwrap().with_type(kind))
    });
    for (number, marked) in join_all(marks.collect::<Vec<_>>()).await.into_iter().enumerate() {
        assert_eq!(marked.is_ok_and(|is_first| is_first), number != 333, "{number}");
    }
}

async fn a_locked_event_does_not_delay_the_others<D: BehindProxy>() {
    let database = D::fresh().await;
    let (log, other) = (database.open().await, database.open().await);
    let mut transaction = other.begin().await.unwrap();
    let held = EventRef::new("held").unwrap();
    assert_eq!(other.try_mark_in(&mut transaction, held).await.unwrap(), MarkOutcome::First);
    let mut redeliveries = JoinSet::new();
    let mut rounds_with = async |beside: &'static str| {
        let start = Instant::now();
        for round in 0..30 {
            let again = log.clone();
            redeliveries.spawn(async move { again.try_mark_processed(beside).await });
            let ids: Vec<String> = (0..20).map(|event| format!("evt_{beside}_{round}_{event}")).collect();
            let marked = join_all(ids.iter().map(|id| log.try_mark_processed(id))).await;
            assert!(marked.into_iter().all(Result::unwrap));
        }
        start.elapsed()
    };
    // What the machine needs for it now, which other programs may keep busy.
    let undelayed = rounds_with("free").await;
    let delayed = rounds_with("held").await;
    // A few lock timeouts of 250 ms or 1 s, and not thirty of them.
    assert!(
        delayed < 2 * undelayed + Duration::from_secs(6),
        "{delayed:?}, and {undelayed:?} without a lock"
    );
    D::Log::commit(transaction).await.unwrap();
    let first = redeliveries.join_all().await.into_iter().filter(|marked| matches!(marked, Ok(true))).count();
    assert_eq!(
        first, 1,
        "only the first mark of the free event; the held one is a duplicate, or was given up"
    );
}

async fn after_a_failover_the_first_call_does_not_meet_every_dead_connection<D: BehindProxy>() {
    let database = D::fresh().await;
    let proxy = database.proxy().await;
    let log = &database.open_through(&proxy, 20).await;
    assert!(log.try_mark_processed("before").await.unwrap());
    proxy.strand();
    let start = Instant::now();
    let mut calls = 0;
    while log.try_mark_processed(&format!("evt_{calls}")).await.is_err() {
        calls += 1;
    }
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    until("the pool has all its places", || async {
        let acquired = join_all((0..20).map(|_| log.try_mark_processed("after"))).await;
        acquired.into_iter().all(|marked| marked.is_ok())
    })
    .await;
}

async fn a_silent_database_keeps_nobody_longer_than_ten_seconds<D: BehindProxy>() {
    let database = D::fresh().await;
    let proxy = database.proxy().await;
    let log = &database.open_through(&proxy, 5).await;
    assert!(log.try_mark_processed("before").await.unwrap());
    proxy.stall(Duration::from_mins(2));
    let mut callers = JoinSet::new();
    for caller in 0..3_500 {
        let log = log.clone();
        callers.spawn(async move { log.try_mark_processed(&format!("evt_{caller}")).await.is_err() });
    }
    // Ten seconds, and what a busy machine needs for it.
    let told =
        timeout(Duration::from_secs(15), callers.join_all()).await.expect("each caller's deadline holds");
    assert!(told.into_iter().all(|has_failed| has_failed));
}

#[idempotent_webhook]
async fn fenced<L: ProcessedEventLog + Sync>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim)]
async fn claimed<L: ClaimLog + Sync>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction(_tx))]
async fn in_transaction<L: TransactionalLog + Sync>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

async fn an_outage_collects_no_tasks_of_hung_up_deliveries<D: BehindProxy>() {
    let database = D::fresh().await;
    // The proxy's own tasks do not count.
    let network = Runtime::new().unwrap();
    let proxy = network.spawn(database.proxy()).await.unwrap();
    let batches = database.open_through(&proxy, 5).await;
    let alone = D::alone(batches.clone());
    fenced(&batches, "before").await.unwrap();
    proxy.stall(Duration::from_mins(2));
    let before = Handle::current().metrics().num_alive_tasks();
    let events: Vec<String> = (0..2_000).map(|event| format!("evt_{event}")).collect();
    for log in [&batches, &alone] {
        let hung_up = events.iter().map(|event| async move {
            drop_after_polls(fenced(log, event), 1).await;
            drop_after_polls(claimed(log, event), 1).await;
            drop_after_polls(in_transaction(log, event), 1).await;
        });
        let few = async {
            join_all(hung_up.collect::<Vec<_>>()).await;
            until("few tasks are left", || async {
                Handle::current().metrics().num_alive_tasks() < before + 50
            })
            .await;
        };
        // Less than the ten seconds of a call.
        timeout(Duration::from_secs(8), few).await.expect("what only waited is gone with its caller");
    }
    network.shutdown_background();
}

/// A test on each server, named after it.
macro_rules! on_each_server {
    ($($test:ident),* $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnPostgres>().await })*
        }
        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnMySql>().await })*
        }
    };
}

/// On a runtime of one thread a locked event delays the others once, and not with each of its deliveries.
mod on_one_thread {
    #[tokio::test]
    #[ignore = "needs PostgreSQL: run tests/run"]
    async fn a_locked_event_delays_the_others_once_on_postgres() {
        super::a_locked_event_does_not_delay_the_others::<crate::databases::OnPostgres>().await;
    }

    #[tokio::test]
    #[ignore = "needs MariaDB: run tests/run"]
    async fn a_locked_event_delays_the_others_once_on_mysql() {
        super::a_locked_event_does_not_delay_the_others::<crate::databases::OnMySql>().await;
    }
}

on_each_server!(
    of_a_burst_only_the_refused_event_fails,
    a_locked_event_does_not_delay_the_others,
    after_a_failover_the_first_call_does_not_meet_every_dead_connection,
    a_silent_database_keeps_nobody_longer_than_ten_seconds,
    an_outage_collects_no_tasks_of_hung_up_deliveries,
);
