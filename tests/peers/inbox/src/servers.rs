//! The PostgreSQL server of the tests.

#[path = "../../../src/servers/folder.rs"]
mod folder;
#[path = "../../../src/servers/postgres.rs"]
mod postgres;
#[path = "../../../src/servers/process.rs"]
mod process;

use std::future::Future;
use std::time::{Duration, Instant};

pub(crate) use postgres::Postgres;

/// Waits until the condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_mins(2), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
