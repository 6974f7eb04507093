//! Deliveries of an event whose earlier mark is being taken back: they are no duplicates of it, and what deletes that
//! mark does not delete theirs.

use std::pin::pin;
use std::time::Duration;

use ferro_idem::{MySqlLog, PostgresLog, ProcessedEventLog, SqlDatabase, SqlLog};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::{MariaDb, Postgres, until};
use futures_util::future::{Either, select};
use futures_util::poll;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};

/// A log with one connection, behind a proxy, and the server itself.
trait Behind: Sized {
    type Database: SqlDatabase;

    async fn new(has_group_commit: bool) -> Self;
    fn log(&self) -> &SqlLog<Self::Database>;
    fn proxy(&self) -> &Proxy;

    /// The result of a query with a number.
    async fn number(&self, query: &str) -> i64;

    /// How many clients of this database are connected.
    async fn clients(&self) -> i64;

    /// Locks the event's row until `until_seen` is done.
    async fn with_locked_row(&self, event: &str, until_seen: impl Future<Output = ()>);

    async fn is_marked(&self, event: &str) -> bool {
        let count = format!("SELECT count(*) FROM stripe_processed_events WHERE event_id = '{event}'");
        self.number(&count).await == 1
    }
}

struct BehindPostgres {
    url: String,
    proxy: Proxy,
    log: PostgresLog,
}

struct BehindMariaDb {
    url: String,
    proxy: Proxy,
    log: MySqlLog,
}

fn port_in(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap()
}

/// Every statement that marks or unmarks is prepared on the only connection, so that its parameters are the next
/// message with the event's id.
async fn warm<D: SqlDatabase>(log: &SqlLog<D>, proxy: &Proxy) {
    log.create_table().await.unwrap();
    assert!(log.try_mark_processed("warm").await.unwrap());
    hang_up(log, proxy, "warm_2").await;
    proxy.release();
    until("its mark is gone", || async { log.try_mark_processed("warm_2").await.unwrap() }).await;
}

/// A delivery whose client hangs up while its mark is on its way to the database. It is still held back.
async fn hang_up<D: SqlDatabase>(log: &SqlLog<D>, proxy: &Proxy, event: &str) {
    proxy.hold(event);
    match select(pin!(log.try_mark_processed(event)), pin!(proxy.until_held())).await {
        Either::Left((answer, _)) => panic!("its mark is held back: {answer:?}"),
        Either::Right(((), _)) => {}
    }
}

impl Behind for BehindPostgres {
    type Database = sqlx::Postgres;

    async fn new(has_group_commit: bool) -> Self {
        let url = Postgres::shared().await.fresh_database().await;
        let proxy = Proxy::before(Protocol::Postgres, port_in(&url)).await;
        let log =
            PostgresLog::new(PgPoolOptions::new().max_connections(1).connect_lazy(&proxy.url(&url)).unwrap());
        let log = if has_group_commit { log } else { log.without_group_commit() };
        warm(&log, &proxy).await;
        Self { url, proxy, log }
    }

    fn log(&self) -> &PostgresLog {
        &self.log
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn number(&self, query: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap()
    }

    async fn clients(&self) -> i64 {
        let others = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        self.number(others).await
    }

    async fn with_locked_row(&self, event: &str, until_seen: impl Future<Output = ()>) {
        let mut holder = PgConnection::connect(&self.url).await.unwrap();
        let lock =
            format!("BEGIN; SELECT 1 FROM stripe_processed_events WHERE event_id = '{event}' FOR UPDATE");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
        until_seen.await;
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    }
}

impl Behind for BehindMariaDb {
    type Database = sqlx::MySql;

    async fn new(has_group_commit: bool) -> Self {
        let url = MariaDb::shared().await.fresh_database().await;
        let proxy = Proxy::before(Protocol::MySql, port_in(&url)).await;
        let log =
            MySqlLog::new(MySqlPoolOptions::new().max_connections(1).connect_lazy(&proxy.url(&url)).unwrap());
        let log = if has_group_commit { log } else { log.without_group_commit() };
        warm(&log, &proxy).await;
        Self { url, proxy, log }
    }

    fn log(&self) -> &MySqlLog {
        &self.log
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn number(&self, query: &str) -> i64 {
        let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap()
    }

    async fn clients(&self) -> i64 {
        let others = "SELECT count(*) FROM information_schema.processlist \
             WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        self.number(others).await
    }

    async fn with_locked_row(&self, event: &str, until_seen: impl Future<Output = ()>) {
        let mut holder = MySqlConnection::connect(&self.url).await.unwrap();
        let lock =
            format!("BEGIN; SELECT 1 FROM stripe_processed_events WHERE event_id = '{event}' FOR UPDATE");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
        until_seen.await;
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    }
}

/// The mark of a delivery that hung up is there, and the statement that deletes it is held back.
async fn until_it_is_being_deleted<B: Behind>(behind: &B, event: &str) {
    hang_up(behind.log(), behind.proxy(), event).await;
    // The next message about the event deletes its mark.
    behind.proxy().hold(event);
    behind.proxy().release();
    until("the mark is made", || behind.is_marked(event)).await;
    behind.proxy().until_held().await;
}

/// The statement is locked out, so that the mark waits to be deleted: the next delivery takes it over.
async fn a_mark_that_waits<B: Behind>(has_group_commit: bool) {
    let behind = B::new(has_group_commit).await;
    until_it_is_being_deleted(&behind, "evt_1").await;
    let log = behind.log().clone();
    let mut next = tokio::spawn(async move { log.try_mark_processed("evt_1").await });
    let locked_out = async {
        behind.proxy().release();
        let waited = tokio::time::timeout(Duration::from_millis(1_500), &mut next).await;
        assert!(waited.is_err(), "it is a duplicate of a delivery that hung up: {waited:?}");
    };
    behind.with_locked_row("evt_1", locked_out).await;
    assert!(next.await.unwrap().unwrap(), "it is a duplicate of a delivery that hung up");
    assert!(behind.is_marked("evt_1").await);
    assert!(!behind.log().try_mark_processed("evt_1").await.unwrap());
}

/// The statement gets no answer, and is carried out after the next delivery has run.
async fn a_mark_that_is_deleted_late<B: Behind>(has_group_commit: bool) {
    let behind = B::new(has_group_commit).await;
    until_it_is_being_deleted(&behind, "evt_1").await;
    {
        let mut next = pin!(behind.log().try_mark_processed("evt_1"));
        assert!(poll!(&mut next).is_pending(), "the mark is still there");
        assert!(next.await.unwrap(), "it is a duplicate of a delivery that hung up");
    }
    behind.proxy().release();
    until("the late statement has ended with its connection", || async { behind.clients().await == 1 }).await;
    assert!(behind.is_marked("evt_1").await, "the mark of a delivery that runs is deleted");
    assert!(!behind.log().try_mark_processed("evt_1").await.unwrap(), "the event runs twice");
}

macro_rules! on_every_server {
    ($($test:ident: $case:ident, $has_group_commit:literal;)*) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() {
                super::$case::<super::BehindPostgres>($has_group_commit).await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() {
                super::$case::<super::BehindMariaDb>($has_group_commit).await;
            })*
        }
    };
}

on_every_server! {
    a_batched_delivery_takes_a_waiting_mark_over: a_mark_that_waits, true;
    a_lone_delivery_takes_a_waiting_mark_over: a_mark_that_waits, false;
    a_late_unmark_spares_the_next_batch: a_mark_that_is_deleted_late, true;
    a_late_unmark_spares_the_next_delivery: a_mark_that_is_deleted_late, false;
}
