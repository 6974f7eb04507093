//! Tests a handler with the kit: a bug is found, and the mended handler passes.
//!
//! `cargo run --example test_your_handler`. In your own crate these are the tests at the end of the file:
//! `ferro-idem = { version = "0.1", features = ["testing"] }` under `[dev-dependencies]`.

use std::collections::HashSet;
use std::sync::Mutex;

use ferro_idem::testing::{self, HandlerTest};
use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, idempotent_webhook};

/// A fake of the other system. Like the real one, it refunds once for each idempotency key.
#[derive(Default)]
struct Bank {
    refunds: Mutex<HashSet<String>>,
}

impl Bank {
    async fn refund(&self, idempotency_key: String) -> Result<(), Error> {
        tokio::task::yield_now().await; // a network makes the caller wait: a delivery may end here,
        self.refunds.lock().map_err(|_| Error::lease_lost("poisoned"))?.insert(idempotency_key);
        tokio::task::yield_now().await; // and here
        Ok(())
    }

    fn refunds(&self) -> usize {
        self.refunds.lock().map_or(0, |refunds| refunds.len())
    }
}

/// The bug: each attempt sends another key, so that an attempt after a crash refunds again.
#[idempotent_webhook(claim(c))]
async fn refund_with_a_bug<L: ClaimLog>(log: &L, event: &str, bank: &Bank) -> Result<(), Error> {
    bank.refund(format!("{event}, attempt {}", c.attempt())).await
}

/// The key is the same on every attempt.
#[idempotent_webhook(claim(c))]
async fn refund<L: ClaimLog>(log: &L, event: &str, bank: &Bank) -> Result<(), Error> {
    bank.refund(c.idempotency_key("refund")).await
}

/// All that a handler touches. The kit makes one for each case.
#[derive(Default)]
struct World {
    log: MemoryProcessedLog,
    bank: Bank,
}

struct WithABug(World);

impl HandlerTest for WithABug {
    async fn new() -> Self {
        Self(World::default())
    }

    async fn deliver(&self) -> bool {
        refund_with_a_bug(&self.0.log, "evt_1", &self.0.bank).await.is_ok()
    }

    async fn effects(&self) -> usize {
        self.0.bank.refunds()
    }
}

struct Mended(World);

impl HandlerTest for Mended {
    async fn new() -> Self {
        Self(World::default())
    }

    async fn deliver(&self) -> bool {
        refund(&self.0.log, "evt_1", &self.0.bank).await.is_ok()
    }

    async fn effects(&self) -> usize {
        self.0.bank.refunds()
    }
}

fn main() {
    println!("{}", testing::check::<WithABug>());
    println!("{}", testing::check::<Mended>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_is_paid_once_whatever_happens_to_a_delivery() {
        testing::check::<Mended>().assert_passed();
    }

    #[test]
    fn the_bug_is_found() {
        assert!(!testing::check::<WithABug>().findings().is_empty());
    }
}
