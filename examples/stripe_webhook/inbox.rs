//! `--inbox`: the endpoint stores events and answers 202, workers deliver them to the same handler. Senders try once,
//! and workers are killed.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use ferro_idem::inbox::{Backoff, Inbox};
use ferro_idem::stripe::{StripeEvent, StripeWebhook};
use rand::RngExt;
use sqlx::{Sqlite, SqlitePool};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::events::Event;
use crate::ledger::Effects;
use crate::mishaps::{Mishaps, Struck};
use crate::server::{App, on_event};
use crate::storm::{Answers, Stripe};
use crate::{deliveries, open};

/// After a kill, the events that the worker held wait for this long. The default of a minute is for production.
const LEASE: Duration = Duration::from_secs(1);

/// How often a worker is killed, at most.
const KILLS: usize = 8;

/// A worker is killed after a random part of this.
const LIFE: Duration = Duration::from_millis(400);

/// Copy this part: the inbox is a table beside the log's.
pub(crate) fn inbox(app: &App) -> Inbox<Sqlite, StripeWebhook> {
    Inbox::new(app.log.clone(), app.webhook.clone())
        .with_backoff(Backoff::exponential(Duration::from_millis(50)..Duration::from_secs(5)))
}

/// Copy this part: a worker delivers events to the handler until the shutdown.
async fn work(
    app: App,
    runs: Arc<AtomicUsize>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ferro_idem::Error> {
    inbox(&app)
        .worker(move |event: StripeEvent| {
            runs.fetch_add(1, Ordering::Relaxed);
            on_event(State(app.clone()), event)
        })
        .with_lease(LEASE)
        .run(shutdown)
        .await
}

/// What was received, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    pub(crate) answers: Answers,
    pub(crate) struck: Struck,
    pub(crate) kills: usize,
    /// Runs of the handler.
    pub(crate) runs: usize,
    /// Events that are still in the inbox.
    pub(crate) left: usize,
    pub(crate) parked: usize,
    pub(crate) effects: Effects,
    pub(crate) elapsed: Duration,
}

pub(crate) async fn storm(
    database: &Path,
    events: &[Event],
    webhook: StripeWebhook,
) -> Result<Ledger, Box<dyn Error>> {
    let mishaps = Mishaps::planned(events);
    let app = open(database, webhook.clone(), mishaps.clone()).await?;
    let inbox = inbox(&app);
    inbox.create_tables().await?;
    let pool = app.log.pool().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    let router = Router::new().route("/webhook", post(inbox.receive()));
    let server = tokio::spawn(axum::serve(listener, router).into_future());

    let start = Instant::now();
    let runs = Arc::new(AtomicUsize::new(0));
    let (received, all_received) = oneshot::channel::<()>();
    let killed = thread::spawn({
        let (database, webhook, mishaps, runs) =
            (database.to_owned(), webhook.clone(), mishaps.clone(), Arc::clone(&runs));
        move || killed_workers(&database, &webhook, &mishaps, &runs, all_received)
    });
    // Once each: nothing is delivered again, so what this application does not keep is lost.
    let stripe = Stripe::new(url, webhook, Mishaps::default())?.with_attempts(1);
    let answers = stripe.deliver(&deliveries::volleys(events)).await?;
    drop(received);
    let kills = tokio::task::spawn_blocking(move || killed.join()).await?.map_err(|_| "a worker panicked")?;

    // The last worker is not killed. It stops after it has emptied the inbox.
    let emptied = async || {
        while left(&pool).await.is_ok_and(|(waiting, _)| waiting > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    work(app, Arc::clone(&runs), emptied()).await?;
    server.abort();
    let (waiting, parked) = left(&pool).await?;
    let effects = Effects::of(events, &pool).await?;
    pool.close().await;
    let runs = runs.load(Ordering::Relaxed);
    let left = waiting + parked;
    Ok(Ledger {
        answers,
        struck: mishaps.struck(),
        kills,
        runs,
        left,
        parked,
        effects,
        elapsed: start.elapsed(),
    })
}

/// Runs one worker after the other, each in a runtime with connections of its own, and drops that runtime in the middle
/// of whatever runs. Like a killed process, it finishes nothing and gives nothing back. Returns how many.
fn killed_workers(
    database: &Path,
    webhook: &StripeWebhook,
    mishaps: &Mishaps,
    runs: &Arc<AtomicUsize>,
    mut all_received: oneshot::Receiver<()>,
) -> usize {
    for killed in 0..KILLS {
        let Ok(runtime) = tokio::runtime::Runtime::new() else { return killed };
        let (webhook, mishaps, runs) = (webhook.clone(), mishaps.clone(), Arc::clone(runs));
        let opened = runtime.block_on(open(database, webhook, mishaps));
        let Ok(app) = opened else { return killed };
        let worker = runtime.spawn(async move { work(app, runs, std::future::pending()).await });
        thread::sleep(LIFE.mul_f64(rand::rng().random_range(0.5..1.0)));
        drop(worker);
        runtime.shutdown_background();
        if matches!(all_received.try_recv(), Err(oneshot::error::TryRecvError::Closed)) {
            return killed + 1;
        }
    }
    KILLS
}

/// The events that wait or run, and those that are parked.
async fn left(pool: &SqlitePool) -> Result<(usize, usize), sqlx::Error> {
    let query =
        "SELECT count(*) FILTER (WHERE state <> 2), count(*) FILTER (WHERE state = 2) FROM webhook_inbox";
    let (waiting, parked): (i64, i64) = sqlx::query_as(query).fetch_one(pool).await?;
    Ok((usize::try_from(waiting).unwrap_or_default(), usize::try_from(parked).unwrap_or_default()))
}

impl Ledger {
    pub(crate) fn balances(&self) -> bool {
        let Self { answers, effects, .. } = self;
        effects.lost == 0
            && effects.doubled == 0
            && effects.forged == 0
            && answers.not_refused == 0
            && answers.undelivered == 0
            && answers.redeliveries == 0
            && self.left == 0
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, struck, effects, .. } = self;
        let mut row =
            |name: &str, count: usize, note: &str| writeln!(formatter, "{name:<22}{count:>7}{note}");
        row("received", answers.first, " answered 202, once each")?;
        row("duplicates", answers.duplicates, " answered 200")?;
        row("refused", answers.refused, " forged or stale")?;
        row("not received", answers.undelivered, "")?;
        let Struck { errors, panics, .. } = struck;
        row("handler runs", self.runs, &format!(", {errors} of them failed, {panics} panicked"))?;
        row("workers killed", self.kills, " in the middle of what they did")?;
        row("processed", effects.found, "")?;
        row("retried", self.runs.saturating_sub(answers.first), " runs beyond the first")?;
        row("parked", self.parked, "")?;
        row("lost", effects.lost, "")?;
        row("doubled", effects.doubled, "")?;
        row("effects of forgeries", effects.forged, "")?;
        writeln!(formatter, "{:<22}{:>7.1}", "seconds", self.elapsed.as_secs_f64())?;
        let verdict = if self.balances() {
            "every event was received once, and took effect exactly once"
        } else {
            "answers and effects do not agree: see the counts above"
        };
        write!(formatter, "\n{verdict}")
    }
}
