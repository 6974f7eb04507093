//! A reply that does not say whether the event is processed.
// Row 28 of the macro's checklist.

use ferro_idem::{MemoryProcessedLog, SqliteLog, idempotent_webhook};

#[idempotent_webhook(
    claim,
    on_duplicate = 0,
    on_error = |_| 1,
)]
async fn number_under_a_claim(log: &MemoryProcessedLog, event: &str) -> u32 {
    event.len() as u32
}

struct Reply;

#[idempotent_webhook(transaction(tx), on_duplicate = Reply, on_error = |_| Reply)]
async fn reply_in_a_transaction(log: &SqliteLog, event: &str) -> Reply {
    let _ = tx;
    Reply
}

fn main() {}
