//! The instructions of one fenced call, under the attribute and written by hand, counted by callgrind.
//!
//! The difference between runs of 1,000 and 11,000 calls leaves only the calls. Needs valgrind.

mod callgrind;
mod report;
mod stripe_ids;

use std::cell::Cell;
use std::env;
use std::error::Error as StdError;

use ferro_idem::{Error, EventRef, MemoryProcessedLog, ProcessedEventLog, WebhookEvent, idempotent_webhook};
use futures_util::FutureExt;

use callgrind::per_call;
use report::{goal, median};
use stripe_ids::stripe_event_id;

const FEW: u32 = 1_000;
const MANY: u32 = 11_000;
/// Maps are seeded at random, so two runs differ by a few collisions.
const ROUNDS: usize = 3;

struct Paid {
    id: String,
}

impl WebhookEvent for Paid {
    fn event_id(&self) -> &str {
        &self.id
    }

    fn event_type(&self) -> Option<&str> {
        Some("invoice.paid")
    }
}

#[idempotent_webhook]
async fn attribute<L: ProcessedEventLog>(log: &L, event: &Paid, shipped: &Cell<u32>) -> Result<(), Error> {
    shipped.set(shipped.get() + 1);
    Ok(())
}

async fn by_hand<L: ProcessedEventLog>(log: &L, event: &Paid, shipped: &Cell<u32>) -> Result<(), Error> {
    let marked = match EventRef::of(event) {
        Ok(event) => log.try_mark_event(event).await,
        Err(reason) => Err(reason.into()),
    };
    match marked {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) => return Err(error),
    }
    shipped.set(shipped.get() + 1);
    Ok(())
}

/// One call with its future, not merged into the loop around it.
#[inline(never)]
fn call_attribute(log: &MemoryProcessedLog, event: &Paid, shipped: &Cell<u32>) -> bool {
    attribute(log, event, shipped).now_or_never().is_some_and(|reply| reply.is_ok())
}

#[inline(never)]
fn call_by_hand(log: &MemoryProcessedLog, event: &Paid, shipped: &Cell<u32>) -> bool {
    by_hand(log, event, shipped).now_or_never().is_some_and(|reply| reply.is_ok())
}

fn main() -> Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", "attribute", calls] => run(call_attribute, calls.parse()?),
        ["--run", "by-hand", calls] => run(call_by_hand, calls.parse()?),
        _ => return compare(),
    }
    Ok(())
}

fn run(call: impl Fn(&MemoryProcessedLog, &Paid, &Cell<u32>) -> bool, calls: u32) {
    // All subjects are made in every run, so that the subtraction removes the cost of making them.
    let deliveries: Vec<Paid> = (0..MANY).map(delivery).collect();
    let log = MemoryProcessedLog::new();
    let shipped = Cell::new(0);
    for event in deliveries.iter().take(calls as usize) {
        assert!(call(&log, event, &shipped));
    }
    assert_eq!(shipped.get(), calls / 2, "half are duplicates");
}

/// A new event, then one from half as long ago, and so on.
fn delivery(position: u32) -> Paid {
    let newest = position / 2;
    let number = if position.is_multiple_of(2) { newest } else { newest / 2 };
    Paid { id: stripe_event_id(number.into()) }
}

fn compare() -> Result<(), Box<dyn StdError>> {
    if !callgrind::is_installed()? {
        return Ok(());
    }
    println!("instructions per fenced call, half of the calls duplicates\n");
    println!("round   attribute   by hand");
    let mut attribute = Vec::new();
    let mut by_hand = Vec::new();
    for round in 1..=ROUNDS {
        let (a, b) = (per_call("attribute", FEW, MANY)?, per_call("by-hand", FEW, MANY)?);
        println!("{round:>5} {a:>11.1} {b:>9.1}");
        attribute.push(a);
        by_hand.push(b);
    }
    let (attribute, by_hand) = (median(attribute), median(by_hand));
    let difference = (attribute / by_hand - 1.0) * 100.0;
    println!("median {attribute:>10.1} {by_hand:>9.1}   difference {difference:+.2} %");
    goal("at most 1 % more than the handler written by hand", difference <= 1.0);
    Ok(())
}
