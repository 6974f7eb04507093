//! A worker process: `crash_rig worker LOG GUARANTEE URL EFFECTS`. It prints its port and serves the rig that started
//! it, until it is killed.

use std::ops::Deref;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use ferro_idem::{
    ClaimLog, InboxDatabase, MySqlLog, PostgresLog, ProcessedEventLog, RedisLog, ReopeningConnection, SqlLog,
    SqliteLog, TransactionalLog,
};
use redis::aio::{ConnectionLike, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use sqlx::pool::PoolOptions;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::args::Guarantee;
use crate::effects::{EffectsFile, WriteEffect};
use crate::handlers::{Endpoint, claimed, fenced, received_and_claimed, received_and_transacted, transacted};
use crate::logs::{Kind, Log};
use crate::naive::Naive;
use crate::waiting::Waiting;

/// The connections of each worker to its server.
const CONNECTIONS: u32 = 8;

/// The handlers of each worker that run at once behind the inbox. Endpoint and worker share the connections.
const HANDLERS: usize = 6;

/// A server that is down comes back soon.
const RECONNECT_WITHIN: Duration = Duration::from_millis(200);

type Failure = Box<dyn std::error::Error>;

/// Serves until it is killed. The server of the log need not be up.
pub(crate) async fn run(arguments: &[String]) -> Result<(), Failure> {
    let [log, guarantee, url, effects] = arguments else { return Err("LOG GUARANTEE URL EFFECTS".into()) };
    let guarantee = Guarantee::parse(guarantee)?;
    let effects = EffectsFile::open(Path::new(effects));
    let log = Log::parse(log)?;
    let router = match log.kind {
        // SQLite has one writer.
        Kind::Sqlite => sql_router(SqliteLog::open(url).await?, guarantee, effects, 1),
        Kind::Postgres => sql_router(
            PostgresLog::new(PoolOptions::new().max_connections(CONNECTIONS).connect_lazy(url)?),
            guarantee,
            effects,
            HANDLERS,
        ),
        Kind::MySql => sql_router(
            MySqlLog::new(PoolOptions::new().max_connections(CONNECTIONS).connect_lazy(url)?),
            guarantee,
            effects,
            HANDLERS,
        ),
        Kind::Naive => router(Naive::open(url).await?, guarantee, effects),
        Kind::Redis => {
            let reconnecting = ConnectionManagerConfig::new().set_max_delay(RECONNECT_WITHIN);
            let connection = redis::Client::open(url.as_str())?.get_connection_manager_lazy(reconnecting)?;
            if log.waits_for == 0 {
                redis_router(RedisLog::new(connection), guarantee, effects)?
            } else {
                let connection = Waiting { connection, replicas: log.waits_for };
                redis_router(RedisLog::new(connection), guarantee, effects)?
            }
        }
        Kind::RedisCluster => {
            let client = ClusterClient::new(url.split(','))?;
            let open = move || {
                let client = client.clone();
                async move { client.get_async_connection().await }
            };
            let connection = loop {
                match ReopeningConnection::open(open.clone()).await {
                    Ok(connection) => break connection,
                    Err(_) => sleep(RECONNECT_WITHIN).await,
                }
            };
            redis_router(RedisLog::new(connection), guarantee, effects)?
        }
    };
    // The port may have belonged to another rig, whose events have the same ids.
    let router = Router::new().nest(&format!("/{}", parent_id()), router);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    Ok(axum::serve(listener, router).await?)
}

fn redis_router<C>(log: RedisLog<C>, guarantee: Guarantee, effects: EffectsFile) -> Result<Router, Failure>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let endpoint = Endpoint { log, effects };
    match guarantee {
        Guarantee::Fence => Ok(fenced(endpoint)),
        Guarantee::Claim => Ok(claimed(endpoint)),
        Guarantee::Transaction | Guarantee::Inbox | Guarantee::InboxClaim => {
            Err("redis has no transactions, and no inbox".into())
        }
    }
}

/// The router of a log with an inbox.
fn sql_router<D: InboxDatabase>(
    log: SqlLog<D>,
    guarantee: Guarantee,
    effects: EffectsFile,
    handlers: usize,
) -> Router
where
    SqlLog<D>: ProcessedEventLog + ClaimLog + TransactionalLog + 'static,
    <<SqlLog<D> as TransactionalLog>::Transaction as Deref>::Target: WriteEffect,
{
    match guarantee {
        Guarantee::Inbox => received_and_transacted(Endpoint { log, effects }, handlers),
        Guarantee::InboxClaim => received_and_claimed(Endpoint { log, effects }, handlers),
        _ => router(log, guarantee, effects),
    }
}

fn router<L>(log: L, guarantee: Guarantee, effects: EffectsFile) -> Router
where
    L: ProcessedEventLog + ClaimLog + TransactionalLog + 'static,
    <L::Transaction as Deref>::Target: WriteEffect,
{
    let endpoint = Endpoint { log, effects };
    match guarantee {
        Guarantee::Fence => fenced(endpoint),
        Guarantee::Claim | Guarantee::InboxClaim => claimed(endpoint),
        Guarantee::Transaction | Guarantee::Inbox => transacted(endpoint),
    }
}
