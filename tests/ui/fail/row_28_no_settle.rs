//! A reply that does not say whether the event is processed.

use ferro_idem::{MemoryProcessedLog, SqliteLog, idempotent_webhook};

#[idempotent_webhook(
    claim,
    on_duplicate = String::new(),
    on_error = |error| error.to_string(),
)]
async fn text_under_a_claim(log: &MemoryProcessedLog, event: &str) -> String {
    event.to_owned()
}

struct Reply;

#[idempotent_webhook(transaction(tx), on_duplicate = Reply, on_error = |_| Reply)]
async fn reply_in_a_transaction(log: &SqliteLog, event: &str) -> Reply {
    let _ = tx;
    Reply
}

fn main() {}
