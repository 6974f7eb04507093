//! The inbox beside published job queues on PostgreSQL, with real syncs: storing events that arrive together, and
//! running a handler without effects for each.
//!
//! Each peer is used as its own documentation says for throughput. Its handlers run at least once, as ours under
//! `claim`; none of them removes duplicates.

#![forbid(unsafe_code)]

#[path = "../../../benches/report/mod.rs"]
mod report;
#[allow(dead_code, reason = "a part of what the tests use")]
mod servers;

mod apalis_queue;
mod graphile_queue;
mod ours;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use report::{Reach, median, print_load};
use servers::Postgres;

pub(crate) const EVENTS: u32 = 3_000;
/// Events that arrive at the same time.
const IN_FLIGHT: u32 = 256;
/// Handlers at once.
pub(crate) const HANDLERS: usize = 16;
const BODY: usize = 2_048;
const TURNS: u32 = 3;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// What is stored for an event.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    filler: String,
}

impl Job {
    fn new(turn: u32, n: u32) -> Self {
        Self { id: format!("{turn}_{n}"), filler: "x".repeat(BODY) }
    }
}

/// Counts the handlers of a turn that have run.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    left: Arc<AtomicU32>,
    none: Arc<Notify>,
}

impl Left {
    fn all() -> Self {
        Self { left: Arc::new(AtomicU32::new(EVENTS)), none: Arc::default() }
    }

    pub(crate) fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.none.notify_one();
        }
    }

    /// Completes when the last handler has run.
    pub(crate) async fn none(&self) {
        self.none.notified().await;
    }
}

/// A queue that is compared.
pub(crate) trait Subject: Sized + Clone + Send + Sync + 'static {
    async fn new(pool: &PgPool) -> Outcome<Self>;

    fn store(&self, job: Job) -> impl Future<Output = Outcome> + Send;

    /// Runs a handler for each event.
    async fn handle(&self, turn: u32, left: Left) -> Outcome;
}

#[tokio::main]
async fn main() -> Outcome {
    print_load("before");
    let server = Postgres::start_with(&["fsync=on"]).await;
    let ours = Rates::of::<ours::Ours>(&server, "ferro-idem, handler under claim").await?;
    let apalis = Rates::of::<apalis_queue::Queue>(&server, "apalis-postgres 1.0.0").await?;
    let graphile = Rates::of::<graphile_queue::Queue>(&server, "graphile_worker 0.14.1").await?;
    print_load("after");
    let mut reach = Reach::default();
    reach.at_least("stored, against the best peer", 1.0, ours.stored / apalis.stored.max(graphile.stored));
    reach.at_least(
        "handled, against the best peer",
        1.0,
        ours.handled / apalis.handled.max(graphile.handled),
    );
    reach.print();
    Ok(())
}

/// Events a second.
struct Rates {
    stored: f64,
    handled: f64,
}

impl Rates {
    async fn of<S: Subject>(server: &Postgres, name: &str) -> Outcome<Self> {
        let pool = PgPoolOptions::new().min_connections(16).max_connections(16);
        let pool = pool.connect(&server.fresh_database().await).await?;
        let subject = S::new(&pool).await?;
        let (mut stored, mut handled) = (Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let start = Instant::now();
            store_all(&subject, turn).await?;
            let storing = start.elapsed();
            let start = Instant::now();
            subject.handle(turn, Left::all()).await?;
            // The first turn warms up.
            if turn > 0 {
                stored.push(f64::from(EVENTS) / storing.as_secs_f64());
                handled.push(f64::from(EVENTS) / start.elapsed().as_secs_f64());
            }
        }
        let rates = Self { stored: median(stored), handled: median(handled) };
        println!("{name:<34} stored {:>7.0} a second, handled {:>7.0}", rates.stored, rates.handled);
        pool.close().await;
        Ok(rates)
    }
}

async fn store_all<S: Subject>(subject: &S, turn: u32) -> Outcome {
    let next = Arc::new(AtomicU32::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (subject, next) = (subject.clone(), Arc::clone(&next));
        senders.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= EVENTS {
                    return Ok(());
                }
                subject.store(Job::new(turn, n)).await?;
            }
        });
    }
    senders.join_all().await.into_iter().collect()
}
