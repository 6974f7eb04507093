//! Throw-away servers, from the machine's own binaries: each on a free port of 127.0.0.1, in a folder of
//! its own, and gone with the process that started it, however that ends.

mod folder;
mod mariadb;
mod postgres;
mod process;
mod redis;
mod redis_cluster;

pub use folder::Folder;
pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use process::{Server, spawn_until_killed};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;

use std::future::Future;
use std::time::{Duration, Instant};

/// Longer than any server takes to start, on a machine under load.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what has to come about.
///
/// # Panics
///
/// Where it does not.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "in {PATIENCE:?}, never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
