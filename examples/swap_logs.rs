//! One handler over three logs: in memory, in a database file, and one that is chosen at run time through
//! `dyn`.
//!
//! ```text
//! cargo run --example swap_logs
//! ```

use std::error::Error;
use std::sync::Arc;

use ferro_idem::{
    MemoryProcessedLog, Outcome, ProcessedEventLog, SqliteLog, WebhookEvent, idempotent_webhook,
};

/// An event type of the application.
struct OrderPaid {
    delivery_id: &'static str,
    parcel: &'static str,
}

impl WebhookEvent for OrderPaid {
    fn event_id(&self) -> &str {
        self.delivery_id
    }

    fn event_type(&self) -> Option<&str> {
        Some("order.paid")
    }
}

#[idempotent_webhook]
async fn ship<L: ProcessedEventLog>(
    log: &L,
    event: &OrderPaid,
) -> Result<Outcome<String>, ferro_idem::Error> {
    Ok(Outcome::Processed(format!("shipped the {}", event.parcel)))
}

async fn deliver_to<L: ProcessedEventLog>(name: &str, log: &L) -> Result<(), ferro_idem::Error> {
    let lamp = OrderPaid { delivery_id: "order_1", parcel: "lamp" };
    let chair = OrderPaid { delivery_id: "order_2", parcel: "chair" };
    println!("{name}");
    for event in [&lamp, &chair, &lamp] {
        let done = match ship(log, event).await? {
            Outcome::Processed(done) => done,
            Outcome::Duplicate => "a duplicate, nothing done".to_owned(),
        };
        println!("  {}: {done}", event.delivery_id);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    deliver_to("MemoryProcessedLog", &MemoryProcessedLog::new()).await?;

    let folder = tempfile::tempdir()?;
    let sqlite = SqliteLog::open(folder.path().join("events.db")).await?;
    deliver_to("SqliteLog", &sqlite).await?;

    let chosen: Arc<dyn ProcessedEventLog> = Arc::new(MemoryProcessedLog::new());
    deliver_to("Arc<dyn ProcessedEventLog>", &chosen).await?;

    // Another handle to the same file sees the marks of the first handle.
    let chosen: Arc<dyn ProcessedEventLog> = Arc::new(sqlite.clone());
    deliver_to("Arc<dyn ProcessedEventLog> over the file of before", &chosen).await?;

    sqlite.pool().close().await;
    folder.close()?;
    Ok(())
}
