//! A log on a real server, through a proxy, and the handlers that use it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferro_idem::{
    ClaimLog, Error, MySqlLog, MySqlTransaction, Outcome, PostgresLog, PostgresTransaction,
    ProcessedEventLog, RedisLog, idempotent_webhook,
};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::{MariaDb, Postgres, Redis};
use ferro_idem_tests::{broken, redeliver};
use futures_util::future::join_all;
use redis::aio::ConnectionManager;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Database, Pool};
use tokio::time::timeout;

use super::with_reply;

pub(crate) type Delivered = Result<Outcome<()>, Error>;

/// What a delivery does with its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A mark.
    Fence,
    /// A claim, completed.
    Complete,
    /// A claim whose body runs until its lease has been renewed, completed.
    Renew,
    /// A claim whose body fails once.
    Release,
    /// A transaction with an effect in it.
    Transaction,
    /// A claim, completed with its reply, which duplicates get.
    CompleteWithReply,
    /// The same in a transaction with an effect.
    TransactionWithReply,
    /// Marks of several events at once, which share statements.
    FenceTogether,
    /// Claims of several events at once, completed.
    CompleteTogether,
}

impl Operation {
    pub(crate) fn is_of_many(self) -> bool {
        matches!(self, Self::FenceTogether | Self::CompleteTogether)
    }
}

/// How many events are delivered together. One of them is delivered twice.
pub(crate) const TOGETHER: usize = 9;

/// A handler: how often it ran, and its lease.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) runs: AtomicUsize,
    pub(crate) lease: Duration,
}

impl Body {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { runs: AtomicUsize::new(0), lease }
    }

    pub(crate) fn run(&self) -> usize {
        self.runs.fetch_add(1, Ordering::SeqCst)
    }
}

/// A database on a server that tests share.
pub(crate) trait Rig: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    const PROTOCOL: Protocol;

    /// Whether the log gives up a connection that does not answer. The connection of a Redis log is the application's,
    /// and redis-rs keeps it until the operating system reports it as broken.
    const CAN_LEAVE_A_CONNECTION: bool = true;
    type Log: ClaimLog + ProcessedEventLog;

    fn fresh() -> impl Future<Output = Self> + Send;

    fn server_port(&self) -> u16;

    /// A log with its own connections, through the proxy if there is one.
    fn open(&self, proxy: Option<&Proxy>) -> impl Future<Output = Self::Log> + Send;

    /// Whether every connection is back in the pool. sqlx pings the server before that, so the next delivery could
    /// otherwise open another connection, with more messages.
    fn is_at_rest(_: &Self::Log) -> bool {
        true
    }

    /// A delivery in a transaction.
    fn transaction(log: &Self::Log, event: &str) -> impl Future<Output = Delivered> + Send;

    /// A delivery that keeps its reply.
    fn complete_with_reply(_: &Self::Log, _: &str, _: &Body) -> impl Future<Output = Delivered> + Send {
        async { unreachable!("this log keeps no replies") }
    }

    /// A delivery that keeps its reply in a transaction.
    fn transaction_with_reply(_: &Self::Log, _: &str) -> impl Future<Output = Delivered> + Send {
        async { unreachable!("this log keeps no replies in transactions") }
    }

    /// The number of effects of an event.
    fn effects(log: &Self::Log, event: &str) -> impl Future<Output = i64> + Send;
}

/// A log with a table that a test can read.
pub(crate) trait InTable: Rig {
    /// Whether the event has a row, without the log's own statements.
    fn is_marked(log: &Self::Log, event: &str) -> impl Future<Output = bool> + Send;
}

pub(crate) async fn deliver<R: Rig>(
    log: &R::Log,
    operation: Operation,
    event: &str,
    body: &Body,
) -> Delivered {
    match operation {
        Operation::Fence => fence(log, event, body).await,
        Operation::Complete => complete(log, event, body).await,
        Operation::Renew => renew(log, event, body).await,
        Operation::Release => release(log, event, body).await,
        Operation::Transaction => R::transaction(log, event).await,
        Operation::CompleteWithReply => R::complete_with_reply(log, event, body).await,
        Operation::TransactionWithReply => R::transaction_with_reply(log, event).await,
        Operation::FenceTogether | Operation::CompleteTogether => {
            together::<R>(log, operation, event, body).await
        }
    }
}

async fn one_of_many<R: Rig>(log: &R::Log, operation: Operation, event: String, body: &Body) -> Delivered {
    redeliver(|| async {
        match operation {
            Operation::FenceTogether => fence(log, &event, body).await,
            _ => complete(log, &event, body).await,
        }
    })
    .await
}

/// Delivers each until it succeeds. The outcome is "processed" if one delivery of each event processed it.
async fn together<R: Rig>(log: &R::Log, operation: Operation, event: &str, body: &Body) -> Delivered {
    // The first delivery has a statement of its own. The event that comes twice shares one with all others.
    let events = (0..TOGETHER).chain([TOGETHER / 2]).map(|number| format!("{event}, {number}"));
    let deliveries = events.map(|event| one_of_many::<R>(log, operation, event, body));
    let delivered = join_all(deliveries.collect::<Vec<_>>()).await;
    let mut processed = 0;
    for delivered in delivered {
        processed += usize::from(delivered? == Outcome::Processed(()));
    }
    match processed {
        TOGETHER => Ok(Outcome::Processed(())),
        0 => Ok(Outcome::Duplicate),
        _ => Err(Error::store("process each event once", format!("{processed} were processed"))),
    }
}

#[idempotent_webhook]
pub(crate) async fn fence<L: ProcessedEventLog>(log: &L, event: &str, body: &Body) -> Delivered {
    body.run();
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(claim(_c, lease = body.lease))]
async fn complete<L: ClaimLog>(log: &L, event: &str, body: &Body) -> Delivered {
    body.run();
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(claim(c, lease = body.lease))]
async fn renew<L: ClaimLog>(log: &L, event: &str, body: &Body) -> Delivered {
    body.run();
    let mut left = c.lease_remaining();
    while c.lease_remaining() <= left {
        left = c.lease_remaining();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(claim(_c, lease = body.lease))]
async fn release<L: ClaimLog>(log: &L, event: &str, body: &Body) -> Delivered {
    if body.run() == 0 {
        return Err(broken());
    }
    Ok(Outcome::Processed(()))
}

/// How long a body waits for its own statements, of which the log knows nothing.
const OF_A_BODY: Duration = Duration::from_secs(2);

fn written<T>(answer: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>) -> Result<(), Error> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Error::store("write the effect", error)),
        Err(late) => Err(Error::store("write the effect", late)),
    }
}

pub(crate) const EFFECTS: &str = "CREATE TABLE effects (event_id VARCHAR(255) NOT NULL)";

pub(crate) struct OnPostgres {
    pub(crate) url: String,
}

#[idempotent_webhook(transaction(tx))]
pub(crate) async fn write_in_postgres(log: &PostgresLog, event: &str) -> Delivered {
    let write = sqlx::query("INSERT INTO effects VALUES ($1)").bind(event).execute(&mut *tx);
    written(timeout(OF_A_BODY, write).await)?;
    Ok(Outcome::Processed(()))
}

impl Rig for OnPostgres {
    const NAME: &'static str = "PostgreSQL";
    const PROTOCOL: Protocol = Protocol::Postgres;
    type Log = PostgresLog;

    async fn fresh() -> Self {
        let rig = Self { url: Postgres::shared().await.fresh_database().await };
        let log = rig.open(None).await;
        log.create_table().await.unwrap();
        sqlx::query(EFFECTS).execute(log.pool()).await.unwrap();
        rig
    }

    fn server_port(&self) -> u16 {
        port_in(&self.url)
    }

    async fn open(&self, proxy: Option<&Proxy>) -> PostgresLog {
        let url = proxy.map_or_else(|| self.url.clone(), |proxy| proxy.url(&self.url));
        PostgresLog::new(PgPoolOptions::new().max_connections(2).connect_lazy(&url).unwrap())
    }

    fn is_at_rest(log: &PostgresLog) -> bool {
        is_idle(log.pool())
    }

    async fn transaction(log: &PostgresLog, event: &str) -> Delivered {
        write_in_postgres(log, event).await
    }

    async fn complete_with_reply(log: &PostgresLog, event: &str, body: &Body) -> Delivered {
        with_reply::complete(log, event, body).await
    }

    async fn transaction_with_reply(log: &PostgresLog, event: &str) -> Delivered {
        with_reply::transact(log, event, async |tx: &mut PostgresTransaction| {
            let write = sqlx::query("INSERT INTO effects VALUES ($1)").bind(event).execute(&mut **tx);
            written(timeout(OF_A_BODY, write).await)
        })
        .await
    }

    async fn effects(log: &PostgresLog, event: &str) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM effects WHERE event_id = $1").bind(event);
        count.fetch_one(log.pool()).await.unwrap()
    }
}

impl InTable for OnPostgres {
    async fn is_marked(log: &PostgresLog, event: &str) -> bool {
        let row = sqlx::query("SELECT 1 FROM stripe_processed_events WHERE event_id = $1").bind(event);
        row.fetch_optional(log.pool()).await.unwrap().is_some()
    }
}

pub(crate) struct OnMariaDb {
    pub(crate) url: String,
}

#[idempotent_webhook(transaction(tx))]
pub(crate) async fn write_in_mariadb(log: &MySqlLog, event: &str) -> Delivered {
    let write = sqlx::query("INSERT INTO effects VALUES (?)").bind(event).execute(&mut *tx);
    written(timeout(OF_A_BODY, write).await)?;
    Ok(Outcome::Processed(()))
}

impl Rig for OnMariaDb {
    const NAME: &'static str = "MariaDB";
    const PROTOCOL: Protocol = Protocol::MySql;
    type Log = MySqlLog;

    async fn fresh() -> Self {
        let rig = Self { url: MariaDb::shared().await.fresh_database().await };
        let log = rig.open(None).await;
        log.create_table().await.unwrap();
        sqlx::query(EFFECTS).execute(log.pool()).await.unwrap();
        rig
    }

    fn server_port(&self) -> u16 {
        port_in(&self.url)
    }

    async fn open(&self, proxy: Option<&Proxy>) -> MySqlLog {
        let url = proxy.map_or_else(|| self.url.clone(), |proxy| proxy.url(&self.url));
        MySqlLog::new(MySqlPoolOptions::new().max_connections(2).connect_lazy(&url).unwrap())
    }

    fn is_at_rest(log: &MySqlLog) -> bool {
        is_idle(log.pool())
    }

    async fn transaction(log: &MySqlLog, event: &str) -> Delivered {
        write_in_mariadb(log, event).await
    }

    async fn complete_with_reply(log: &MySqlLog, event: &str, body: &Body) -> Delivered {
        with_reply::complete(log, event, body).await
    }

    async fn transaction_with_reply(log: &MySqlLog, event: &str) -> Delivered {
        with_reply::transact(log, event, async |tx: &mut MySqlTransaction| {
            let write = sqlx::query("INSERT INTO effects VALUES (?)").bind(event).execute(&mut **tx);
            written(timeout(OF_A_BODY, write).await)
        })
        .await
    }

    async fn effects(log: &MySqlLog, event: &str) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM effects WHERE event_id = ?").bind(event);
        count.fetch_one(log.pool()).await.unwrap()
    }
}

impl InTable for OnMariaDb {
    async fn is_marked(log: &MySqlLog, event: &str) -> bool {
        let row =
            sqlx::query("SELECT 1 FROM stripe_processed_events WHERE event_id = ?").bind(event.as_bytes());
        row.fetch_optional(log.pool()).await.unwrap().is_some()
    }
}

pub(crate) struct OnRedis {
    pub(crate) url: String,
}

impl Rig for OnRedis {
    const NAME: &'static str = "Redis";
    const PROTOCOL: Protocol = Protocol::Redis;
    const CAN_LEAVE_A_CONNECTION: bool = false;
    type Log = RedisLog<ConnectionManager>;

    async fn fresh() -> Self {
        Self { url: Redis::shared().await.url() }
    }

    fn server_port(&self) -> u16 {
        port_in(&self.url)
    }

    async fn open(&self, proxy: Option<&Proxy>) -> Self::Log {
        let url = proxy.map_or_else(|| self.url.clone(), |proxy| proxy.url(&self.url));
        RedisLog::new(redis::Client::open(url).unwrap().get_connection_manager().await.unwrap())
    }

    async fn complete_with_reply(log: &Self::Log, event: &str, body: &Body) -> Delivered {
        with_reply::complete(log, event, body).await
    }

    async fn transaction(_: &Self::Log, _: &str) -> Delivered {
        unreachable!("Redis has no transactions")
    }

    async fn effects(_: &Self::Log, _: &str) -> i64 {
        unreachable!("Redis has no transactions")
    }
}

pub(crate) fn is_idle<D: Database>(pool: &Pool<D>) -> bool {
    pool.num_idle() == pool.size() as usize
}

fn port_in(url: &str) -> u16 {
    let digits = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    digits.parse().unwrap()
}
