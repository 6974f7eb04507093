//! A sender like Stripe: delivers until a 2xx, hangs up, delivers twice, in no order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::PATIENCE;
use crate::args::{Args, Guarantee};
use crate::disasters::{Disaster, Weather, stretched};
use crate::effects::now;
use crate::handlers::{Delivery, LEASE};
use crate::workers::{Life, Workers};

/// Deliveries at a time: more than the workers have connections.
const IN_FLIGHT: usize = 400;

/// For a picture, they are answered before senders hang up.
const IN_FLIGHT_OF_A_PICTURE: usize = 40;

/// New events at a time, shuffled.
const BATCH: usize = 100;

/// A bound for the memory of a run.
const MAX_EVENTS: u64 = 1_000_000;

/// How long an impatient delivery waits for its answer: longer than a lease, so that it meets the delivery that took
/// the event over.
const TIMEOUT: Duration = LEASE.saturating_mul(2);

/// How long a patient delivery waits: longer than every deadline of a log, so that it hears the error. Half of the
/// deliveries are patient during the storm, and all after it, so that a slow machine can finish them.
const PATIENT_TIMEOUT: Duration = Duration::from_secs(20);

/// With [`Disaster::Drops`], so many deliveries of one event are dropped at once, for one event in so many.
const DROPPED_AT_ONCE: usize = 100;
const DROPPED_ONE_IN: u32 = 200;
const DROPPED_WITHIN: Duration = Duration::from_millis(6);

/// The next events, so many of them.
const NEXT: u64 = 200;

const FIRST_BACKOFF: Duration = Duration::from_millis(20);

/// How often the backoff doubles.
const DOUBLINGS: u32 = 5;

/// Deliveries by their answers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// All deliveries, redeliveries included.
    pub(crate) deliveries: AtomicU64,
    pub(crate) processed: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) in_progress: AtomicU64,
    pub(crate) unavailable: AtomicU64,
    pub(crate) other: AtomicU64,
    /// The worker was killed, stopped or starting.
    pub(crate) unanswered: AtomicU64,
    pub(crate) hung_up: AtomicU64,
    /// Events of which a hundred deliveries were dropped at once.
    pub(crate) dropped_at_once: AtomicU64,
}

/// The event whose loss is arranged, if the guarantee is the fence.
pub(crate) const HELD: &str = "evt_00000000";

/// What the sender knows about an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// When its first 2xx was heard.
    pub(crate) acknowledged: Option<u64>,
    /// Whether its handler answered, and so had its effect.
    pub(crate) ran: bool,
    /// Attempts that may have been the first, and that may have ended in the handler's middle: hung up, or not answered.
    pub(crate) interrupted: u32,
    /// Attempts that may have been the first, and that were answered with an error.
    pub(crate) errors: Vec<ErrorReply>,
}

/// An attempt that was answered with an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorReply {
    pub(crate) sender: u64,
    pub(crate) life: Life,
    pub(crate) begun: u64,
    pub(crate) answered: u64,
    /// When the same sender came back and got its 2xx, if the worker had been killed or stopped by then: it may not have
    /// come to taking its mark back.
    pub(crate) interrupted_before: Option<u64>,
}

impl Known {
    /// Whether an attempt that begins now may be the first one.
    ///
    /// Before the first 2xx, it may. After it, it may only if another attempt overlapped that 2xx and failed:
    ///
    /// 1. Attempt A marks the event. Its answer is late.
    /// 2. Attempt B finds the mark, and its sender hears a 2xx.
    /// 3. The log of A gives up at its deadline, A is answered with an error, and the mark is taken back.
    /// 4. The sender of A comes back, and its attempt is the first one again.
    ///
    /// If the worker of A is killed after step 3 and before it takes the mark back, the attempt in step 4 is a
    /// duplicate, and the event is lost.
    fn may_be_first(&self) -> bool {
        self.acknowledged.is_none() || !self.errors.is_empty()
    }

    /// Errors whose workers may not have come to taking their marks back.
    pub(crate) fn errors_of_interrupted(&self) -> usize {
        self.errors.iter().filter(|error| error.interrupted_before.is_some()).count()
    }
}

/// Every event that was sent.
pub(crate) type Events = HashMap<String, Known>;

pub(crate) struct Sender {
    client: Client<HttpConnector, Body>,
    workers: Arc<Workers>,
    pub(crate) tally: Tally,
    events: Mutex<Events>,
    senders: AtomicU64,
    /// Whether handlers fail. Under the fence, a handler that fails loses its event by design, so none does.
    has_failures: bool,
    /// The longest work of a handler before its effect, and after it. SQLite's only writer waits for it.
    longest_work: Duration,
    drops_at_once: bool,
    in_flight: usize,
    /// Whether an event is delivered once, whatever the answer.
    tries_once: bool,
    weather: Arc<Weather>,
}

/// How an attempt was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// 2xx.
    Acknowledged,
    /// The store is unavailable.
    Unavailable,
    /// Anything else, or nothing.
    Other,
}

impl Sender {
    pub(crate) fn new(workers: Arc<Workers>, args: &Args, weather: Arc<Weather>) -> Arc<Self> {
        Arc::new(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            workers,
            tally: Tally::default(),
            events: Mutex::default(),
            senders: AtomicU64::new(0),
            has_failures: args.guarantee != Guarantee::Fence && !args.guarantee.has_inbox(),
            in_flight: if args.picture.is_some() { IN_FLIGHT_OF_A_PICTURE } else { IN_FLIGHT },
            tries_once: args.guarantee.has_inbox(),
            longest_work: Duration::from_millis(if args.has_one_writer() { 2 } else { 20 }),
            drops_at_once: args.disasters.contains(&Disaster::Drops),
            weather,
        })
    }

    /// Sends new events until `end`, and goes on until all are acknowledged. Events that are not acknowledged so long
    /// after the last disturbance never are.
    pub(crate) async fn storm(
        self: &Arc<Self>,
        mut rng: StdRng,
        end: Instant,
        mut calm: watch::Receiver<bool>,
    ) {
        let in_flight = Arc::new(Semaphore::new(self.in_flight));
        let mut deliveries = JoinSet::new();
        let (mut known, mut late) = (0_u64, Vec::new());
        'storm: while known < MAX_EVENTS {
            for delivery in self.batch(&mut rng, &mut known, &mut late) {
                let permit = timeout_at(end, Arc::clone(&in_flight).acquire_owned()).await;
                let (Ok(Ok(permit)), true) = (permit, Instant::now() < end) else { break 'storm };
                let (sender, rng) = (Arc::clone(self), StdRng::seed_from_u64(rng.random()));
                deliveries.spawn(async move {
                    sender.deliver(&delivery, rng, end).await;
                    drop(permit);
                });
                while deliveries.try_join_next().is_some() {}
            }
        }
        let patience = async {
            // If the disturbances ended with a panic, so does everything.
            drop(calm.wait_for(|is_calm| *is_calm).await);
            sleep(stretched(PATIENCE)).await;
        };
        tokio::select! {
            () = async { while deliveries.join_next().await.is_some() {} } => {}
            () = patience => {}
        }
    }

    /// Delivers an event whose handler never reaches its effect, until it is acknowledged. It is lost when all workers
    /// are killed.
    pub(crate) async fn hold_one(&self, rng: StdRng, patience: Instant) {
        let never = Duration::from_hours(24);
        let delivery = Delivery { id: HELD.to_owned(), before: never, after: never, fails: false };
        drop(timeout_at(patience, self.deliver(&delivery, rng, patience)).await);
    }

    /// New events, some of them twice at once, and events that were delivered long ago.
    fn batch(&self, rng: &mut StdRng, known: &mut u64, late: &mut Vec<Delivery>) -> Vec<Delivery> {
        let mut batch = std::mem::take(late);
        for _ in 0..BATCH {
            *known += 1;
            let delivery = Delivery {
                id: id(*known),
                before: self.longest_work.mul_f64(rng.random()),
                after: self.longest_work.mul_f64(rng.random()),
                fails: false,
            };
            if rng.random_bool(0.1) {
                late.push(delivery.clone());
            }
            batch.push(delivery);
        }
        batch.shuffle(rng);
        // Side by side in the order means at once.
        batch.into_iter().flat_map(|delivery| vec![delivery; 1 + usize::from(rng.random_bool(0.1))]).collect()
    }

    /// Delivers one event until a 2xx.
    async fn deliver(&self, delivery: &Delivery, mut rng: StdRng, calm: Instant) {
        self.events().entry(delivery.id.clone()).or_default();
        let sender = self.senders.fetch_add(1, Ordering::Relaxed);
        if self.drops_at_once && rng.random_ratio(1, DROPPED_ONE_IN) {
            self.drop_at_once(sender, delivery, &mut rng).await;
        }
        for attempt in 0.. {
            let fails = self.has_failures && rng.random_bool(0.03);
            let is_patient = rng.random_bool(0.5) || Instant::now() >= calm;
            let hangs_up = rng.random_bool(0.1).then(|| self.longest_work.mul_f64(2.0 * rng.random::<f64>()));
            let within = hangs_up.unwrap_or(if is_patient { PATIENT_TIMEOUT } else { TIMEOUT });
            let attempt_of = Delivery { fails, ..delivery.clone() };
            match self.attempt(sender, &attempt_of, within, hangs_up.is_some(), &mut rng).await {
                Answer::Acknowledged => return,
                Answer::Unavailable => self.weather.to_come_back().await,
                Answer::Other => {}
            }
            let backoff = FIRST_BACKOFF * 2_u32.pow(attempt.min(DOUBLINGS));
            sleep(backoff.mul_f64(rng.random_range(0.5..1.5))).await;
            // After the pause, so that an outage does not use up all events.
            if self.tries_once {
                return;
            }
        }
    }

    /// Many deliveries of an event at once, each of which hangs up a moment later.
    async fn drop_at_once(&self, sender: u64, delivery: &Delivery, rng: &mut StdRng) {
        count(&self.tally.dropped_at_once);
        let attempts = (0..DROPPED_AT_ONCE).map(|_| {
            let mut rng = StdRng::seed_from_u64(rng.random());
            async move {
                let within = DROPPED_WITHIN.mul_f64(rng.random());
                self.attempt(sender, delivery, within, true, &mut rng).await
            }
        });
        join_all(attempts.collect::<Vec<_>>()).await;
    }

    /// One delivery, whose client hangs up after so long.
    async fn attempt(
        &self,
        sender: u64,
        delivery: &Delivery,
        within: Duration,
        hangs_up: bool,
        rng: &mut StdRng,
    ) -> Answer {
        let Some((port, life)) = self.workers.one_that_listens(rng) else { return Answer::Other };
        let begun = now();
        // Interrupted until it is answered: it may never be.
        let may_be_first = self.know(delivery, |known| {
            let may_be_first = known.may_be_first();
            known.interrupted += u32::from(may_be_first);
            may_be_first
        });
        let Some(status) = self.answer(port, delivery, within, hangs_up).await else { return Answer::Other };
        self.know(delivery, |known| {
            known.ran |= status == StatusCode::CREATED;
            known.interrupted -= u32::from(may_be_first);
            if may_be_first && status.is_server_error() {
                let answered = now();
                known.errors.push(ErrorReply { sender, life, begun, answered, interrupted_before: None });
            }
            if status.is_success() {
                known.acknowledged.get_or_insert_with(now);
                for error in known.errors.iter_mut().filter(|error| error.sender == sender) {
                    if !self.workers.is_undisturbed(error.life) {
                        error.interrupted_before.get_or_insert_with(now);
                    }
                }
            }
        });
        match status {
            status if status.is_success() => Answer::Acknowledged,
            StatusCode::SERVICE_UNAVAILABLE => Answer::Unavailable,
            _ => Answer::Other,
        }
    }

    fn know<T>(&self, delivery: &Delivery, learn: impl FnOnce(&mut Known) -> T) -> T {
        learn(self.events().entry(delivery.id.clone()).or_default())
    }

    /// The answer, if there is one.
    async fn answer(
        &self,
        port: u16,
        delivery: &Delivery,
        within: Duration,
        hangs_up: bool,
    ) -> Option<StatusCode> {
        let tally = &self.tally;
        count(&tally.deliveries);
        let request = Request::post(format!("http://127.0.0.1:{port}/{}", std::process::id()))
            .header(CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(delivery).expect("it is JSON").into())
            .expect("it is a request");
        let answered = timeout(within, self.client.request(request)).await;
        let Ok(Ok(response)) = answered else {
            let has_hung_up = answered.is_err() && hangs_up;
            count(if has_hung_up { &tally.hung_up } else { &tally.unanswered });
            return None;
        };
        let status = response.status();
        count(match status {
            StatusCode::CREATED | StatusCode::ACCEPTED => &tally.processed,
            StatusCode::OK => &tally.duplicates,
            StatusCode::CONFLICT => &tally.in_progress,
            StatusCode::SERVICE_UNAVAILABLE => &tally.unavailable,
            _ => &tally.other,
        });
        Some(status)
    }

    /// The ids of events that are sent next.
    pub(crate) fn next_ids(&self) -> Vec<String> {
        let known = u64::try_from(self.events().len()).unwrap_or(0);
        (known..known + NEXT).map(id).collect()
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One in ten differs from the previous one only in its case.
fn id(number: u64) -> String {
    if number.is_multiple_of(10) { format!("EVT_{:08}", number - 1) } else { format!("evt_{number:08}") }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
