//! The worker with its annotated handler: how fast, how soon, and how large.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ferro_idem::inbox::Inbox;
use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError};
use ferro_idem::{InboxDatabase, SqlLog, idempotent_webhook};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::effect::Effect;
use crate::report::{Reach, median, megabytes};

/// Bodies at once.
const HANDLERS: usize = 16;
const EVENTS: u32 = 3_000;
const TURNS: u32 = 3;
const BODY: usize = 2048;
/// Deliveries of an idle system.
const DELIVERIES: u32 = 200;
const WAITING: u32 = 1_000_000;

pub(crate) struct Own;

impl Sender for Own {
    type Event = Value;
    const NAME: &'static str = "bench";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, _: &Delivery<'_>) -> Result<Value, SignatureError> {
        Err(SignatureError::NoSecret)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Value, PayloadError> {
        delivery.json()
    }
}

#[idempotent_webhook(claim)]
async fn claimed<D: InboxDatabase>(log: SqlLog<D>, event: Value) -> Result<(), ferro_idem::Error> {
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn transacted<H: Effect>(log: SqlLog<H::D>, event: Value) -> Result<(), ferro_idem::Error> {
    let id = event["id"].as_str().unwrap_or_default();
    H::effect(tx, id).await.map_err(|error| ferro_idem::Error::store("write the effect", error))
}

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn body(id: &str) -> Vec<u8> {
    format!("{{\"id\":\"{id}\",\"filler\":\"{}\"}}", "x".repeat(BODY)).into_bytes()
}

/// Measures the worker against loops by hand, in turn.
pub(crate) async fn run<H: Effect>(log: &SqlLog<H::D>, claim_goal: f64, reach: &mut Reach) -> Outcome {
    let name = <H::D as sqlx::Database>::NAME;
    log.create_table().await?;
    H::create_effects(log.pool()).await?;
    let mut figures: [Vec<f64>; 4] = Default::default();
    for turn in 0..=TURNS {
        let measured = [
            deliver(log, &format!("c{turn}"), claimed).await?,
            by_hand::<H, _>(log, &format!("c{turn}"), async |pool| H::process(&pool).await).await?,
            deliver(log, &format!("t{turn}"), |log, event| transacted::<H>(log, event)).await?,
            by_hand::<H, _>(log, &format!("t{turn}"), async |pool| H::process_with_effect(&pool).await)
                .await?,
        ];
        // The first turn warms up.
        for (figures, figure) in figures.iter_mut().zip(measured).filter(|_| turn > 0) {
            figures.push(figure);
        }
    }
    let [claims, by_hand, transactions, by_hand_with_effect] = figures.map(median);
    println!("{name}: worker with claim {claims:.0}, loop by hand {by_hand:.0}");
    println!(
        "{name}: worker with transaction and effect {transactions:.0}, by hand {by_hand_with_effect:.0}"
    );
    reach.at_least(&format!("{name}, worker with claim against the loop"), claim_goal, claims / by_hand);
    let ratio = transactions / by_hand_with_effect;
    reach.at_least(&format!("{name}, worker with transaction and one effect against the loop"), 1.2, ratio);
    latency::<H>(log, reach).await?;
    memory::<H>(log, reach).await
}

/// Events a second, from their receipt to the end of the last one.
async fn deliver<D, Fut>(
    log: &SqlLog<D>,
    turn: &str,
    handler: impl Fn(SqlLog<D>, Value) -> Fut + Send + Sync + 'static,
) -> Outcome<f64>
where
    D: InboxDatabase,
    Fut: Future<Output = Result<(), ferro_idem::Error>> + Send + 'static,
{
    let inbox = Arc::new(Inbox::new(log.clone(), Own));
    let mut receives = JoinSet::new();
    for n in 0..EVENTS {
        let (inbox, body) = (Arc::clone(&inbox), body(&format!("{turn}_{n}")));
        receives.spawn(async move { inbox.add(&Delivery::new(&body)).await.expect("it is stored") });
    }
    receives.join_all().await;
    let (left, done) = (Arc::new(AtomicU32::new(EVENTS)), Arc::new(Notify::new()));
    let (log, is_done) = (log.clone(), Arc::clone(&done));
    let start = Instant::now();
    let worker = inbox.worker(move |event| {
        let handling = handler(log.clone(), event);
        let (left, done) = (Arc::clone(&left), Arc::clone(&done));
        async move {
            let reply = handling.await;
            if reply.is_ok() && left.fetch_sub(1, Ordering::SeqCst) == 1 {
                done.notify_one();
            }
            reply
        }
    });
    worker.with_concurrency(HANDLERS).run(async move { is_done.notified().await }).await?;
    Ok(f64::from(EVENTS) / start.elapsed().as_secs_f64())
}

async fn by_hand<H: Effect, P>(log: &SqlLog<H::D>, turn: &str, process: P) -> Outcome<f64>
where
    P: AsyncFn(sqlx::Pool<H::D>) -> Result<bool, sqlx::Error> + Clone + 'static,
{
    for n in 0..EVENTS {
        H::insert(log.pool().clone(), format!("{turn}_{n}"), &body("by_hand")).await?;
    }
    let start = Instant::now();
    LocalSet::new()
        .run_until(async {
            let mut loops = JoinSet::new();
            for _ in 0..H::LOOPS {
                let (pool, process) = (log.pool().clone(), process.clone());
                loops.spawn_local(
                    async move { while process(pool.clone()).await.expect("it is processed") {} },
                );
            }
            while loops.join_next().await.is_some() {}
        })
        .await;
    Ok(f64::from(EVENTS) / start.elapsed().as_secs_f64())
}

/// From the receipt of a delivery to the start of its handler, while nothing else goes on, and one durable insert.
async fn latency<H: Effect>(log: &SqlLog<H::D>, reach: &mut Reach) -> Outcome {
    let name = <H::D as sqlx::Database>::NAME;
    let inbox = Inbox::new(log.clone(), Own);
    let (started, mut starts) = mpsc::unbounded_channel();
    let (stop, is_stopped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stopping = Arc::clone(&stop);
    let worker = inbox.worker(move |_: Value| {
        let started = started.clone();
        async move {
            started.send(Instant::now()).expect("somebody waits");
            Ok::<(), ferro_idem::Error>(())
        }
    });
    let ended = Arc::clone(&is_stopped);
    let running = tokio::spawn(async move {
        let ended_by = async move { stopping.notified().await };
        worker.with_concurrency(HANDLERS).run(ended_by).await.expect("the worker runs");
        ended.notify_one();
    });
    let (mut ours, mut inserts) = (Vec::new(), Vec::new());
    for n in 0..DELIVERIES {
        let at = Instant::now();
        H::insert(log.pool().clone(), format!("latency_{n}"), &body("by_hand")).await?;
        inserts.push(at.elapsed().as_secs_f64() * 1e3);
        let body = body(&format!("latency_{n}"));
        let at = Instant::now();
        inbox.add(&Delivery::new(&body)).await?;
        let start = starts.recv().await.ok_or("the worker ended")?;
        ours.push(start.saturating_duration_since(at).as_secs_f64() * 1e3);
        // Its completion.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.notify_one();
    is_stopped.notified().await;
    running.await?;
    let [middle, inserts_middle] = [ours.clone(), inserts.clone()].map(median);
    let [ours, inserts] = [ours, inserts].map(p99);
    println!("{name}: median {middle:.1} ms; one insert {inserts_middle:.1} ms");
    println!(
        "{name}: from receipt to the handler's start, p99 {ours:.1} ms; one insert, p99 {inserts:.1} ms"
    );
    reach.at_most(&format!("{name}, receipt to start, p99, in ms"), 10.0, ours);
    reach.at_most(&format!("{name}, receipt to start against one insert, p99"), 3.0, ours / inserts);
    Ok(())
}

fn p99(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() * 99 / 100]
}

/// The memory of a process whose inbox has a million deliveries waiting, while its worker works on them.
async fn memory<H: Effect>(log: &SqlLog<H::D>, reach: &mut Reach) -> Outcome {
    let name = <H::D as sqlx::Database>::NAME;
    let before = megabytes();
    H::fill_waiting(log.pool(), Own::NAME, None, WAITING).await?;
    let filled = megabytes();
    let run = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&run);
    let inbox = Inbox::new(log.clone(), Own);
    let log = log.clone();
    let worker = inbox.worker(move |event| {
        count.fetch_add(1, Ordering::Relaxed);
        claimed(log.clone(), event)
    });
    worker.with_concurrency(HANDLERS).run(tokio::time::sleep(Duration::from_secs(10))).await?;
    let after = megabytes();
    println!(
        "{name}: a million waiting: {before} MB before, {filled} MB after they were stored, {after} MB after {} were delivered",
        run.load(Ordering::Relaxed)
    );
    let growth = u32::try_from(after.saturating_sub(filled)).unwrap_or(u32::MAX);
    reach.at_most(&format!("{name}, growth with a million waiting, in MB"), 20.0, f64::from(growth));
    Ok(())
}
