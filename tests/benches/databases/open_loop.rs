//! Deliveries that arrive at a fixed rate, whether or not those before them were answered, as from a sender.
//!
//! A delivery's time counts from the moment at which it was due. So a stall counts for each delivery that arrives
//! meanwhile.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::contest::{Contest, Database, capacity};
use crate::load::{Handler, count, deliveries};

/// Milliseconds that 50 %, 99 % and 99.9 % of the deliveries stay below.
pub(crate) struct Latencies {
    p50: f64,
    pub(crate) p99: f64,
    p99_9: f64,
}

/// Measures each handler at half of what it can take, and all at half of what the slowest can take. Both are measured
/// in this run, with so many in flight.
pub(crate) async fn compare<D: Database>(
    database: &D,
    contest: &Contest,
    in_flight: usize,
    seconds: f64,
) -> Vec<Latencies> {
    let capacities = capacity(database, contest, in_flight, seconds).await;
    let slowest = capacities.iter().copied().fold(f64::INFINITY, f64::min);
    println!("\n{}, {}: arrivals at half of the capacity", D::NAME, contest.what);
    println!("handler                  a second: can take, arrive    p50 ms    p99 ms  p99.9 ms");
    let mut at_one_rate = Vec::new();
    for ((name, handler), can_take) in contest.handlers.iter().zip(capacities) {
        let mut rates = vec![slowest / 2.0];
        if can_take > slowest {
            rates.push(can_take / 2.0);
        }
        for (position, rate) in rates.into_iter().enumerate() {
            database.clear().await;
            let latencies = arrive(handler, rate, seconds * 5.0).await;
            let Latencies { p50, p99, p99_9 } = latencies;
            println!("{name:<24} {can_take:>19.0} {rate:>8.0} {p50:>9.2} {p99:>9.2} {p99_9:>9.2}");
            if position == 0 {
                at_one_rate.push(latencies);
            }
        }
    }
    at_one_rate
}

async fn arrive(handler: &Arc<dyn Handler>, rate: f64, seconds: f64) -> Latencies {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some ten thousands")]
    let ids = deliveries(0..(rate * seconds) as usize);
    let (sender, mut answered) = mpsc::unbounded_channel();
    let (handler, runtime, arriving) = (Arc::clone(handler), Handle::current(), Arc::clone(&ids));
    // A thread, because the runtime's timer has a resolution of a millisecond.
    let arrivals = thread::spawn(move || {
        let start = Instant::now();
        for position in 0..arriving.len() {
            let due = start + Duration::from_secs_f64(count(position) / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (handler, ids, sender) = (Arc::clone(&handler), Arc::clone(&arriving), sender.clone());
            runtime.spawn(async move {
                handler.deliver(&ids[position]).await;
                sender.send(due.elapsed()).ok();
            });
        }
    });
    let mut latencies = Vec::new();
    while let Some(latency) = answered.recv().await {
        latencies.push(latency);
    }
    arrivals.join().expect("no arrival panics");
    assert_eq!(latencies.len(), ids.len(), "each delivery is answered");
    latencies.sort_unstable();
    let last = latencies.len() - 1;
    let [p50, p99, p99_9] =
        [500, 990, 999].map(|permille| latencies[last * permille / 1000].as_secs_f64() * 1e3);
    Latencies { p50, p99, p99_9 }
}
