//! The contest of one database.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ferro_idem::__inbox::{InboxDatabase, InboxStore, NewDelivery, TakeLimits, Taken};
use ferro_idem::{EventRef, SqlLog};
use sqlx::Pool;
use tokio::task::JoinSet;

use crate::effect::Effect;
use crate::report::{Reach, median};

pub(crate) const TURNS: u32 = 3;

/// Deliveries that arrive at the same time.
const IN_FLIGHT: u32 = 256;
/// The connections by hand.
const CONNECTIONS: u32 = 16;
const EVENTS: u32 = 6_000;
const BODY: usize = 2048;
/// A take of a worker with 16 bodies at once.
const TAKE: u32 = 64;
const WORKERS: usize = 4;
/// Processed keys that are kept, unless told otherwise.
pub(crate) const KEPT: u32 = 1_000_000;
/// Deliveries of one order key that wait in front of others.
const IN_LINE: u32 = 50_000;

/// The least ratios.
pub(crate) struct Goals {
    pub(crate) receive: f64,
    pub(crate) process: f64,
}

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    /// Processed keys that are kept.
    pub(crate) kept: u32,
    /// Only the takes beside them.
    pub(crate) only_kept: bool,
    /// Only the worker with its handlers.
    pub(crate) only_worker: bool,
}

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Measures both ways in turn.
pub(crate) async fn run<H: Effect>(
    log: &SqlLog<H::D>,
    goals: &Goals,
    parts: Parts,
    reach: &mut Reach,
) -> Outcome {
    let name = <H::D as sqlx::Database>::NAME;
    let store = InboxStore::new(log, "github");
    store.create_tables().await?;
    H::create(log.pool()).await?;
    let body: Arc<[u8]> = (0..BODY).map(|_| rand::random()).collect();
    if parts.only_worker {
        return Ok(());
    }
    if parts.only_kept {
        return beside_kept::<H>(&store, log, &body, parts.kept, reach).await.map(drop);
    }
    let mut figures: [Vec<f64>; 4] = Default::default();
    for turn in 0..=TURNS {
        let measured = [
            receive(&store, turn, &body).await?,
            insert::<H>(log.pool(), turn, &body).await?,
            process(&store).await?,
            process_by_hand::<H>(log.pool()).await?,
        ];
        // The first turn warms up.
        for (figures, figure) in figures.iter_mut().zip(measured).filter(|_| turn > 0) {
            figures.push(figure);
        }
    }
    let [received, inserted, processed, by_hand] = figures.map(median);
    println!("{name}: receive {received:.0}, INSERT on {CONNECTIONS} connections {inserted:.0}");
    println!("{name}: take and complete {processed:.0}, by hand {by_hand:.0}");
    reach.at_least(&format!("{name}, receive against INSERT"), goals.receive, received / inserted);
    reach.at_least(
        &format!("{name}, take and complete against the loop"),
        goals.process,
        processed / by_hand,
    );
    let empty = beside_kept::<H>(&store, log, &body, parts.kept, reach).await?;
    H::fill_waiting(log.pool(), "github", Some("long"), IN_LINE).await?;
    let behind = takes(&store, "behind", &body).await?;
    println!("{name}: a take of {TAKE} of 1,000 behind {IN_LINE} of one key {behind:.2} ms");
    reach.at_most(&format!("{name}, a take behind {IN_LINE} of one key"), 3.0, behind / empty);
    Ok(())
}

/// Returns the time of a take without processed keys.
async fn beside_kept<H: Effect>(
    store: &InboxStore<H::D>,
    log: &SqlLog<H::D>,
    body: &Arc<[u8]>,
    keys: u32,
    reach: &mut Reach,
) -> Outcome<f64> {
    let name = <H::D as sqlx::Database>::NAME;
    let empty = takes(store, "empty", body).await?;
    H::fill_seen(log.pool(), keys).await?;
    let kept = takes(store, "kept", body).await?;
    println!("{name}: a take of {TAKE} of 1,000 {empty:.2} ms, beside {keys} processed keys {kept:.2} ms");
    reach.at_most(&format!("{name}, a take beside {keys} processed keys"), 1.5, kept / empty);
    Ok(empty)
}

fn delivery(id: &str, body: &[u8]) -> Outcome<NewDelivery> {
    Ok(NewDelivery::new(EventRef::new(id)?.with_type("push"), None, body.to_vec()))
}

fn limits() -> TakeLimits {
    TakeLimits { events: TAKE, lease: Duration::from_mins(10), max_attempts: 3 }
}

/// Runs this many at a time, and returns how many a second.
async fn at_once<F: Future<Output = ()> + Send + 'static>(
    in_flight: u32,
    one: impl Fn(u32) -> F + Send + Sync + 'static,
) -> f64 {
    let (next, one) = (Arc::new(AtomicU32::new(0)), Arc::new(one));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (next, one) = (Arc::clone(&next), Arc::clone(&one));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= EVENTS {
                    return;
                }
                one(n).await;
            }
        });
    }
    tasks.join_all().await;
    f64::from(EVENTS) / start.elapsed().as_secs_f64()
}

async fn receive<D: InboxDatabase>(store: &InboxStore<D>, turn: u32, body: &Arc<[u8]>) -> Outcome<f64> {
    let (store, body) = (store.clone(), Arc::clone(body));
    Ok(at_once(IN_FLIGHT, move |n| {
        let (store, body) = (store.clone(), Arc::clone(&body));
        async move {
            let delivery = delivery(&id(turn, n), &body).expect("a valid id");
            store.receive(delivery).await.expect("it is stored");
        }
    })
    .await)
}

async fn insert<H: Effect>(pool: &Pool<H::D>, turn: u32, body: &Arc<[u8]>) -> Outcome<f64> {
    let (pool, body) = (pool.clone(), Arc::clone(body));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for task in 0..CONNECTIONS {
                let (pool, body) = (pool.clone(), Arc::clone(&body));
                tasks.spawn_local(async move {
                    for n in (task..EVENTS).step_by(CONNECTIONS as usize) {
                        H::insert(pool.clone(), id(turn, n), &body).await.expect("it is stored");
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
        })
        .await;
    Ok(f64::from(EVENTS) / start.elapsed().as_secs_f64())
}

/// In the order of nothing, as ids of senders are.
fn id(turn: u32, n: u32) -> String {
    format!("{:08x}-{turn}-{n}", n.wrapping_mul(2_654_435_761))
}

async fn process<D: InboxDatabase>(store: &InboxStore<D>) -> Outcome<f64> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let store = store.clone();
        workers.spawn(async move {
            loop {
                let taken = store.take(limits()).await.expect("it is taken").taken;
                if taken.is_empty() {
                    return;
                }
                complete(&store, taken).await;
            }
        });
    }
    workers.join_all().await;
    Ok(f64::from(EVENTS) / start.elapsed().as_secs_f64())
}

async fn complete<D: InboxDatabase>(store: &InboxStore<D>, taken: Vec<Taken>) {
    let completions = taken.iter().map(|taken| store.complete(&taken.held));
    for completed in futures_util::future::join_all(completions).await {
        assert!(completed.expect("it is completed"));
    }
}

async fn process_by_hand<H: Effect>(pool: &Pool<H::D>) -> Outcome<f64> {
    let start = Instant::now();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut loops = JoinSet::new();
            for _ in 0..H::LOOPS {
                let pool = pool.clone();
                loops.spawn_local(async move { while H::process(&pool).await.expect("it is processed") {} });
            }
            while loops.join_next().await.is_some() {}
        })
        .await;
    Ok(f64::from(EVENTS) / start.elapsed().as_secs_f64())
}

/// The median milliseconds of a take, with 1,000 waiting.
async fn takes<D: InboxDatabase>(store: &InboxStore<D>, name: &str, body: &Arc<[u8]>) -> Outcome<f64> {
    let mut receives = JoinSet::new();
    for n in 0..1000 {
        let (store, delivery) = (store.clone(), delivery(&format!("{name}_{n}"), body)?);
        receives.spawn(async move { store.receive(delivery).await.expect("it is stored") });
    }
    receives.join_all().await;
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        let taken = store.take(limits()).await?.taken;
        let took = start.elapsed();
        if taken.is_empty() {
            return Ok(median(times));
        }
        if taken.len() == TAKE as usize {
            times.push(took.as_secs_f64() * 1e3);
        }
        complete(store, taken).await;
    }
}
