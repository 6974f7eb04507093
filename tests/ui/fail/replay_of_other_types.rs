//! Types that `replay`, `fingerprint` and `scope` cannot use.

use ferro_idem::{Error, MemoryProcessedLog, RedisLog, idempotent_webhook};

struct Receipt(u32);

#[idempotent_webhook(claim, replay, on_duplicate = Ok(Receipt(0)))]
async fn reply_that_cannot_be_read(log: &MemoryProcessedLog, event: &str) -> Result<Receipt, Error> {
    Ok(Receipt(1))
}

#[idempotent_webhook(claim, replay, fingerprint = amount)]
async fn fingerprint_of_a_number(log: &MemoryProcessedLog, event: &str, amount: u64) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, scope = user)]
async fn scope_of_an_option(log: &MemoryProcessedLog, event: &str, user: Option<u64>) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction(tx), replay)]
async fn log_without_transactions(log: &RedisLog, event: &str) -> Result<(), Error> {
    Ok(())
}

fn main() {}
