//! Locks and servers that do not answer: each layer answers in time, and its pool stays whole.
//!
//! All layers wait at once, so that this takes no longer than one of them.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use ferro_idem::{MarkOutcome, TransactionalLog};
use ferro_idem_tests::proxy::{From, Proxy, Then as Lost};
use ferro_idem_tests::redeliver;
use futures_util::future::{BoxFuture, FutureExt, join_all};

use crate::databases::{Database, OnMariaDb, OnPostgres, OnSqlite};
use crate::diesel::{OverMySql, OverPostgres};
use crate::kit::Layered;
use crate::promises::{Then, deliver, mark};
use crate::sea_orm::SeaOrm;
use crate::tokio_postgres::TokioPostgres;

/// A call may try for 10 seconds. The rest is for a machine under load.
const BOUND: Duration = Duration::from_secs(25);

/// Another program holds the event's row for longer than a delivery waits.
async fn a_lock_ends_with_an_answer<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 2).await;
    deliver(&log, "before", Then::Reply, &layer).await.unwrap();
    let held = database.hold().await;
    let start = Instant::now();
    let error = deliver(&log, "held", Then::Reply, &layer).await.unwrap_err();
    assert!(error.is_retryable() && start.elapsed() < BOUND, "{:?}: {error}", start.elapsed());
    held.rollback().await.unwrap();
    redeliver(async || deliver(&log, "held", Then::Reply, &layer).await).await.unwrap();
    assert_eq!(database.effects("held").await, 1);
    the_pool_is_whole(&log, &database, &layer).await;
}

/// Every connection of the pool works, and none has an open transaction.
async fn the_pool_is_whole<L: Layered>(log: &L::Log, database: &L::Database, layer: &L) {
    let ids: Vec<String> = (0..4).map(|number| format!("after all, {number}")).collect();
    let deliveries = ids.iter().map(|id| redeliver(async || deliver(log, id, Then::Reply, layer).await));
    for delivered in join_all(deliveries).await {
        delivered.unwrap();
    }
    for id in &ids {
        assert_eq!(database.effects(id).await, 1, "{id}");
    }
}

/// A connection on which no message arrives any more, as after a failover, keeps neither the delivery nor the next one.
async fn a_silent_server_ends_with_an_answer<L: Layered>(layer: L) {
    let Some(protocol) = L::Database::PROTOCOL else { return };
    let database = L::Database::fresh().await;
    let port = database.url().rsplit([':', '/']).nth(1).unwrap().parse().unwrap();
    let proxy = Proxy::before(protocol, port).await;
    let log = L::open(&proxy.url(database.url()), 2).await;
    deliver(&log, "before", Then::Reply, &layer).await.unwrap();
    let (mut open, outcome) = mark(&log, "lost").await;
    assert_eq!(outcome, MarkOutcome::First);
    L::write(&mut open, "lost").await.unwrap();
    proxy.lose(0, From::Client, Lost::Hang);
    let start = Instant::now();
    L::Log::commit(open).await.unwrap_err();
    assert!(start.elapsed() < BOUND, "the commit took {:?}", start.elapsed());
    let start = Instant::now();
    deliver(&log, "next", Then::Reply, &layer).await.unwrap();
    assert!(start.elapsed() < BOUND, "the next delivery took {:?}", start.elapsed());
    // The server may hold the lost transaction open, until it sees that its connection is closed.
    drop(proxy);
    let direct = L::open(database.url(), 2).await;
    redeliver(async || deliver(&direct, "lost", Then::Reply, &layer).await).await.unwrap();
    assert_eq!(database.effects("lost").await, 1);
}

macro_rules! over_each_server {
    ($promise:ident) => {
        join_all::<[BoxFuture<'static, ()>; 5]>([
            $promise(SeaOrm::<OnPostgres>(PhantomData)).boxed(),
            $promise(OverPostgres).boxed(),
            $promise(TokioPostgres).boxed(),
            $promise(SeaOrm::<OnMariaDb>(PhantomData)).boxed(),
            $promise(OverMySql).boxed(),
        ])
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and MariaDB: run tests/run"]
async fn a_lock_is_not_waited_for_beyond_the_deadline() {
    over_each_server!(a_lock_ends_with_an_answer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_on_sqlite_is_not_waited_for_beyond_the_deadline() {
    a_lock_ends_with_an_answer(SeaOrm::<OnSqlite>(PhantomData)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and MariaDB: run tests/run"]
async fn a_silent_server_keeps_no_delivery_waiting() {
    over_each_server!(a_silent_server_ends_with_an_answer).await;
}
