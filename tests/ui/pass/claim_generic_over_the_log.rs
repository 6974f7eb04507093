//! One handler, any log that can: by reference, boxed, shared, and for a claim behind `dyn`.

use std::sync::Arc;

use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, SqliteLog, TransactionalLog, idempotent_webhook};

#[idempotent_webhook(claim(c))]
async fn claimed<L: ClaimLog + ?Sized>(log: &L, event: &str) -> Result<(), Error> {
    let _ = c.fencing_token();
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn in_transaction<L: TransactionalLog>(log: &L, event: &str) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

#[allow(dead_code)]
async fn swap(memory: MemoryProcessedLog, sqlite: SqliteLog) -> Result<(), Error> {
    claimed(&memory, "evt_1").await?;
    claimed(&&sqlite, "evt_1").await?;
    let dynamic: Arc<dyn ClaimLog> = Arc::new(memory);
    claimed(&dynamic, "evt_1").await?;
    claimed(&*dynamic, "evt_1").await?;
    in_transaction(&sqlite, "evt_1").await?;
    in_transaction(&&sqlite, "evt_1").await?;
    in_transaction(&Box::new(sqlite.clone()), "evt_1").await?;
    in_transaction(&Arc::new(sqlite), "evt_1").await
}

fn main() {}
