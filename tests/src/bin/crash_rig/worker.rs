//! A worker process: `crash_rig worker LOG GUARANTEE URL EFFECTS`. It prints its port and serves the rig that started
//! it, until it is killed.

use std::ops::Deref;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use ferro_idem::{ClaimLog, MySqlLog, PostgresLog, ProcessedEventLog, RedisLog, SqliteLog, TransactionalLog};
use redis::aio::ConnectionManagerConfig;
use sqlx::pool::PoolOptions;
use tokio::net::TcpListener;

use crate::args::{Guarantee, Log};
use crate::effects::{EffectsFile, WriteEffect};
use crate::handlers::{Endpoint, claimed, fenced, transacted};
use crate::naive::Naive;

/// The connections of each worker to its server.
const CONNECTIONS: u32 = 8;

/// A server that is down comes back soon.
const RECONNECT_WITHIN: Duration = Duration::from_millis(200);

type Failure = Box<dyn std::error::Error>;

/// Serves until it is killed. The server of the log need not be up.
pub(crate) async fn run(arguments: &[String]) -> Result<(), Failure> {
    let [log, guarantee, url, effects] = arguments else { return Err("LOG GUARANTEE URL EFFECTS".into()) };
    let guarantee = Guarantee::parse(guarantee)?;
    let effects = EffectsFile::open(Path::new(effects));
    let router = match Log::parse(log)? {
        Log::Sqlite => router(SqliteLog::open(url).await?, guarantee, effects),
        Log::Postgres => router(
            PostgresLog::new(PoolOptions::new().max_connections(CONNECTIONS).connect_lazy(url)?),
            guarantee,
            effects,
        ),
        Log::MySql => router(
            MySqlLog::new(PoolOptions::new().max_connections(CONNECTIONS).connect_lazy(url)?),
            guarantee,
            effects,
        ),
        Log::Naive => router(Naive::open(url).await?, guarantee, effects),
        Log::Redis => {
            let reconnecting = ConnectionManagerConfig::new().set_max_delay(RECONNECT_WITHIN);
            let connection = redis::Client::open(url.as_str())?.get_connection_manager_lazy(reconnecting)?;
            let endpoint = Endpoint { log: RedisLog::new(connection), effects };
            match guarantee {
                Guarantee::Fence => fenced(endpoint),
                Guarantee::Claim => claimed(endpoint),
                Guarantee::Transaction => return Err("redis has no transactions".into()),
            }
        }
    };
    // The port may have belonged to another rig, whose events have the same ids.
    let router = Router::new().nest(&format!("/{}", parent_id()), router);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    Ok(axum::serve(listener, router).await?)
}

fn router<L>(log: L, guarantee: Guarantee, effects: EffectsFile) -> Router
where
    L: ProcessedEventLog + ClaimLog + TransactionalLog + 'static,
    <L::Transaction as Deref>::Target: WriteEffect,
{
    let endpoint = Endpoint { log, effects };
    match guarantee {
        Guarantee::Fence => fenced(endpoint),
        Guarantee::Claim => claimed(endpoint),
        Guarantee::Transaction => transacted(endpoint),
    }
}
