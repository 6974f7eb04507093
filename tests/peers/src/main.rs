//! `MemoryProcessedLog` beside the memory stores of published peers, and beside a bare `DashMap`.
//!
//! Each is called as its own documentation says for the start of a handler. Two tasks on two threads deliver
//! each event twice. About half of the second deliveries are on the other thread.

#![forbid(unsafe_code)]

#[path = "../../benches/report/mod.rs"]
mod report;
#[path = "../../benches/stripe_ids/mod.rs"]
mod stripe_ids;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use ferro_idem::{EventRef, MemoryProcessedLog, ProcessedEventLog};
use idempotent::fingerprint::{DefaultFingerprintStrategy, FingerprintStrategy};
use idempotent::store::memory::MemoryStore;
use idempotent::store::{IdempotencyStore as _, InsertResult};
use idempotent::{IdempotencyEntry, IdempotencyKey};
use tideway::webhooks::IdempotencyStore as _;
use tideway::webhooks::idempotency::MemoryIdempotencyStore;

use report::{Reach, median, print_load};
use stripe_ids::{scramble, stripe_event_id};

const EVENTS: u64 = 200_000;
const ROUNDS: usize = 5;
/// Longer than a round.
const KEPT: Duration = Duration::from_secs(3600);

trait Store: Send + Sync + 'static {
    fn is_first(&self, id: &str) -> impl Future<Output = bool> + Send;
}

impl Store for MemoryProcessedLog {
    async fn is_first(&self, id: &str) -> bool {
        let event = EventRef::new(id).expect("a valid id");
        self.try_mark_event(event).await.expect("memory does not fail")
    }
}

struct Bare(DashMap<String, ()>);

impl Store for Bare {
    async fn is_first(&self, id: &str) -> bool {
        self.0.insert(id.to_owned(), ()).is_none()
    }
}

impl Store for MemoryIdempotencyStore {
    async fn is_first(&self, id: &str) -> bool {
        self.claim_event(id).await.expect("memory does not fail")
    }
}

impl Store for MemoryStore {
    async fn is_first(&self, id: &str) -> bool {
        let key = IdempotencyKey::new(id).expect("a valid id");
        let fingerprint = DefaultFingerprintStrategy.compute("POST /webhook", id.as_bytes());
        let entry = IdempotencyEntry::new(fingerprint, KEPT);
        let inserted = self.try_insert(&key, entry).await.expect("memory does not fail");
        matches!(inserted, InsertResult::Claimed { .. })
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    print_load("before");
    let deliveries = deliveries();
    println!("{} calls on 2 threads, half of them duplicates; millions a second\n", 2 * EVENTS);
    println!("round   ours   DashMap<String, ()>   tideway 0.9.0   idempotent 0.3.0");
    let mut rounds: [Vec<f64>; 4] = Default::default();
    for round in 0..=ROUNDS {
        let rates = [
            rate(MemoryProcessedLog::new(), &deliveries).await,
            rate(Bare(DashMap::new()), &deliveries).await,
            rate(MemoryIdempotencyStore::new(), &deliveries).await,
            rate(MemoryStore::new(1024, KEPT), &deliveries).await,
        ];
        // Otherwise the first subject would pay for the first growth of the allocator.
        if round > 0 {
            print_row(&round.to_string(), rates);
            rounds.iter_mut().zip(rates).for_each(|(rounds, rate)| rounds.push(rate));
        }
    }
    let medians = rounds.map(median);
    print_row("median", medians);
    print_load("after");
    let [ours, _, tideway, idempotent] = medians;
    let mut reach = Reach::default();
    reach.at_least("memory log, 2 threads, against the best peer", 1.5, ours / tideway.max(idempotent));
    reach.print();
}

fn print_row(name: &str, [ours, bare, tideway, idempotent]: [f64; 4]) {
    println!("{name:<6} {ours:>5.2} {bare:>21.2} {tideway:>15.2} {idempotent:>18.2}");
}

/// What each task delivers, in its order.
fn deliveries() -> [Arc<[String]>; 2] {
    let mut calls: Vec<(u64, u64)> = (0..2 * EVENTS).map(|call| (scramble(call), call / 2)).collect();
    calls.sort_unstable();
    let (one, other) = calls.split_at(calls.len() / 2);
    [one, other].map(|calls| calls.iter().map(|&(_, number)| stripe_event_id(number)).collect())
}

/// Millions of calls a second.
async fn rate<S: Store>(store: S, deliveries: &[Arc<[String]>; 2]) -> f64 {
    let store = Arc::new(store);
    let start = Instant::now();
    let tasks = deliveries.each_ref().map(|ids| {
        let (store, ids) = (Arc::clone(&store), Arc::clone(ids));
        tokio::spawn(async move {
            let mut firsts = 0;
            for id in ids.iter() {
                firsts += u64::from(store.is_first(id).await);
            }
            firsts
        })
    });
    let mut firsts = 0;
    for task in tasks {
        firsts += task.await.expect("no call panics");
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(firsts, EVENTS, "each event is first once");
    2.0 * EVENTS as f64 / seconds / 1e6
}
