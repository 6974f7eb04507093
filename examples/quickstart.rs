//! The attribute in its smallest form: one event delivered twice, and another one.
//!
//! ```text
//! cargo run --example quickstart
//! ```

use ferro_idem::{Error, MemoryProcessedLog, Outcome, ProcessedEventLog, idempotent_webhook};

#[idempotent_webhook]
async fn ship_parcel<L: ProcessedEventLog>(log: &L, event: &str) -> Result<Outcome<String>, Error> {
    Ok(Outcome::Processed(format!("parcel for {event} shipped")))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let log = MemoryProcessedLog::new();
    for event in ["evt_1", "evt_1", "evt_2"] {
        println!("{event}: {:?}", ship_parcel(&log, event).await?);
    }
    Ok(())
}
