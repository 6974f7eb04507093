//! What a worker promises, over an inbox in memory and on a paused clock.

mod claims;
mod failures;
mod fences;
mod leases;
mod lines;
mod running;

use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::double::{Double, Row, State};
use super::{Reply, Worker};
use crate::error::Error;
use crate::inbox::backoff::Backoff;
use crate::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError};

type Event = serde_json::Value;

struct TestSender;

impl Sender for TestSender {
    type Event = Event;
    const NAME: &'static str = "test";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, delivery: &Delivery<'_>) -> Result<Event, SignatureError> {
        Ok(self.decode(delivery)?)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Event, PayloadError> {
        assert_ne!(delivery.body(), b"panic", "the sender does not know this");
        delivery.json()
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MAX_ATTEMPTS: u32 = 3;

fn worker<F, Fut, R>(queue: &Arc<Double>, handler: F) -> Worker<TestSender, F>
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    let queue = Arc::clone(queue) as _;
    let backoff = Backoff::exponential(SECOND..60 * SECOND);
    Worker::new(queue, Arc::new(TestSender), handler, Location::caller(), (MAX_ATTEMPTS, backoff, true))
}

/// A worker that runs until it is stopped.
struct Run {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Error>>,
}

impl Run {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

fn run<F, Fut, R>(worker: Worker<TestSender, F>) -> Run
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(worker.run(async move { drop(stopped.await) }));
    Run { stop, ended }
}

fn is_parked(queue: &Double, event_id: &str) -> bool {
    queue.row(event_id).is_some_and(|row| row.state == State::Parked)
}

/// Runs a worker over one event until the event is parked.
async fn until_parked<F, Fut, R>(handler: F) -> Row
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    let queue = Double::new();
    queue.receive("evt_1", None);
    let run = run(worker(&queue, handler));
    queue.until(|queue| is_parked(queue, "evt_1")).await;
    run.stop().await;
    queue.row("evt_1").unwrap()
}

/// Counts.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn down(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The order in which things happened.
#[derive(Clone, Default)]
struct History(Arc<Mutex<Vec<String>>>);

impl History {
    fn push(&self, happening: String) {
        self.0.lock().unwrap().push(happening);
    }

    fn get(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
