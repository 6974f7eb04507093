//! Servers for tests, started from the machine's own binaries: each on a free port of 127.0.0.1, in a temporary
//! folder. They end with the process that started them, even if it is killed.

mod deployment;
mod folder;
mod galera;
mod mariadb;
mod mariadb_replicas;
mod network;
mod pgbouncer;
mod postgres;
mod postgres_cluster;
mod postgres_quorum;
mod process;
mod redis;
mod redis_cluster;
mod redis_replicas;
mod redis_sentinel;

pub use deployment::{Deployment, Moved};
pub use folder::Folder;
pub use galera::Galera;
pub use mariadb::MariaDb;
pub use mariadb_replicas::{Acknowledgement, MariaDbReplicas};
pub use network::{Cut, Network, Place};
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use postgres_cluster::{PostgresCluster, Replication};
pub use postgres_quorum::PostgresQuorum;
pub use process::{Server, spawn_until_killed};
pub use redis::{Product, Redis};
pub use redis_cluster::RedisCluster;
pub use redis_replicas::RedisReplicas;
pub use redis_sentinel::RedisSentinel;

use std::future::Future;
use std::time::{Duration, Instant};

/// Longer than any server takes to start, on a machine under load.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until the condition holds.
///
/// # Panics
///
/// If it does not hold within two minutes. `what` says it in words.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "in {PATIENCE:?}, never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
