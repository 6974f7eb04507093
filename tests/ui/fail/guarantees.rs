// Row 29 of the macro's checklist.

use std::time::Duration;

use ferro_idem::{Error, SqliteLog, idempotent_webhook};

#[idempotent_webhook(claim, transaction(tx))]
async fn both(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction, claim)]
async fn both_the_other_way_round(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, claim(c))]
async fn twice(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction)]
async fn transaction_without_a_name(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction())]
async fn transaction_with_an_empty_name(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction(tx, lease = LEASE))]
async fn transaction_with_a_lease(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction(&mut tx))]
async fn transaction_with_a_pattern(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(transaction = tx)]
async fn transaction_as_a_value(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c, d))]
async fn two_names(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(lease = LEASE, lease = LEASE))]
async fn two_leases(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c, leas = LEASE))]
async fn slip_in_lease(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c, ttl = LEASE))]
async fn another_word_for_lease(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c, lease))]
async fn lease_without_a_value(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c, lease =))]
async fn lease_without_a_value_behind_its_sign(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c, 120))]
async fn lease_without_its_name(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim(c lease = LEASE))]
async fn no_comma(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim = c)]
async fn claim_as_a_value(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, lease = LEASE)]
async fn lease_outside_of_its_claim(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(clam(c), tranaction(tx), fence)]
async fn slips(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(processed = |_| true)]
async fn processed_under_a_fence(log: &SqliteLog, event: &str) -> Result<(), Error> {
    Ok(())
}

const LEASE: Duration = Duration::from_secs(60);

/// Row 30: the callers of a function with mistakes in its arguments are not told that it is missing.
async fn callers(log: &SqliteLog) {
    let _ = both(log, "evt_1").await;
    let _ = two_names(log, "evt_1").await;
    let _ = transaction_without_a_name(log, "evt_1").await;
}

fn main() {}
