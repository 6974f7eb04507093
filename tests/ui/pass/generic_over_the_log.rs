//! One handler, any log: by reference, boxed, shared, and behind `dyn`.

use std::sync::Arc;

use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog, SqliteLog, idempotent_webhook};

#[idempotent_webhook]
async fn on_event<L: ProcessedEventLog + ?Sized>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

#[allow(dead_code)]
async fn swap(memory: MemoryProcessedLog, sqlite: SqliteLog) -> Result<(), Error> {
    on_event(&memory, "evt_1").await?;
    on_event(&sqlite, "evt_1").await?;
    on_event(&&memory, "evt_1").await?;
    on_event(&Arc::new(sqlite.clone()), "evt_1").await?;
    let dynamic: Arc<dyn ProcessedEventLog> = Arc::new(memory);
    on_event(&dynamic, "evt_1").await?;
    on_event(&*dynamic, "evt_1").await?;
    let boxed: Box<dyn ProcessedEventLog> = Box::new(sqlite);
    on_event(&boxed, "evt_1").await
}

fn main() {}
