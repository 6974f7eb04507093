//! A process that dies in the body of its handler: `killed_in_the_body GUARANTEE DATABASE`.
//!
//! Prints `in the body` in its body, and waits to be killed.

use std::path::Path;
use std::time::Duration;

use ferro_idem::{Error, SqliteLog, idempotent_webhook};
use ferro_idem_tests::write_effect;

/// The event that it dies on.
const EVENT: &str = "evt_killed";

async fn hang() -> Result<(), Error> {
    println!("in the body");
    std::future::pending().await
}

#[idempotent_webhook]
async fn fence(log: &SqliteLog, event: &str) -> Result<(), Error> {
    hang().await
}

#[idempotent_webhook(claim(c, lease = Duration::from_secs(1)))]
async fn claim(log: &SqliteLog, event: &str) -> Result<(), Error> {
    assert_eq!(c.attempt(), 1);
    hang().await
}

#[idempotent_webhook(transaction(tx))]
async fn transaction(log: &SqliteLog, event: &str) -> Result<(), Error> {
    write_effect(tx, event).await?;
    hang().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, guarantee, database] = &arguments[..] else { panic!("GUARANTEE DATABASE") };
    let log = SqliteLog::open(Path::new(database)).await?;
    match guarantee.as_str() {
        "fence" => fence(&log, EVENT).await,
        "claim" => claim(&log, EVENT).await,
        "transaction" => transaction(&log, EVENT).await,
        other => panic!("no guarantee {other}"),
    }
}
