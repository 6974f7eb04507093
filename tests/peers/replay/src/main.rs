//! Replies that are kept, beside published peers: requests a second in memory, and what a crash between the charge and
//! its reply does.
//!
//! Each subject is an axum router in this process, written as the peer's own documentation says. The measured store is
//! memory, which all of them have. The charges of the other part are rows in SQLite, without a unique key.

#![forbid(unsafe_code)]

#[path = "../../../benches/report/mod.rs"]
mod report;

mod crash;
mod handlers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use handlers::{Shop, Subject};
use report::{Reach, median, print_load};

const ROUNDS: usize = 5;
const KEYS: usize = 4_096;
const IN_FLIGHT: usize = 16;
const LENGTH: Duration = Duration::from_millis(500);
/// Longer than a run.
const KEPT: Duration = Duration::from_secs(3_600);

#[tokio::main(worker_threads = 2)]
async fn main() {
    print_load("before");
    let shop = Shop::new(None);
    let subjects = [
        handlers::ours_in_memory(shop.clone()),
        handlers::axum_idempotent(shop.clone()).await,
        handlers::idempotent(shop, KEPT),
    ];
    let next = Arc::new(AtomicUsize::new(0));
    let mut rates: [[Vec<f64>; 2]; 3] = Default::default();
    for round in 0..=ROUNDS {
        for (subject, rates) in subjects.iter().zip(&mut rates) {
            // Keys that were never sent, and then keys whose replies are kept.
            let start = next.fetch_add(1 << 20, Ordering::Relaxed);
            let first = rate(subject, start, 1 << 20).await;
            for key in start..start + KEYS {
                subject.post(key, "pay").await;
            }
            let replayed = rate(subject, start, KEYS).await;
            if round > 0 {
                rates[0].push(first);
                rates[1].push(replayed);
            }
        }
    }
    println!(
        "| a second, {IN_FLIGHT} in flight, 2 threads, receipts of 2 KB | first requests | replays |\n|---|---|---|"
    );
    let medians = rates.map(|of_subject| of_subject.map(median));
    for (subject, [first, replayed]) in subjects.iter().zip(medians) {
        println!("| {} | {first:.0} | {replayed:.0} |", subject.name);
    }
    print_load("after");
    println!();
    crash::print().await;
    let [ours, one, other] = medians;
    let mut reach = Reach::default();
    for (what, at) in [("first requests", 0), ("replays", 1)] {
        reach.at_least(
            &format!("memory, {what}, against the best peer"),
            1.0,
            ours[at] / one[at].max(other[at]),
        );
    }
    reach.print();
}

/// Answers a second. The keys are `start` and those after it, again and again.
async fn rate(subject: &Subject, start: usize, keys: usize) -> f64 {
    let (begin, sent) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (subject, sent) = (subject.clone(), Arc::clone(&sent));
            tokio::spawn(async move {
                while begin.elapsed() < LENGTH {
                    let key = start + sent.fetch_add(1, Ordering::Relaxed) % keys;
                    assert_eq!(subject.post(key, "pay").await.status(), StatusCode::CREATED);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no request fails");
    }
    sent.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}
