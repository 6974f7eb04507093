//! The handlers under test: the real attribute, behind real HTTP.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use ferro_idem::inbox::{Backoff, Inbox};
use ferro_idem::sender::{self, IdCoverage, PayloadError, Sender, SignatureError};
use ferro_idem::{
    ClaimLog, Error, InboxDatabase, MIN_LEASE, ProcessedEventLog, SqlLog, TransactionalLog, WebhookEvent,
    idempotent_webhook,
};
use serde::{Deserialize, Serialize};

use crate::effects::{EffectsFile, WriteEffect};

/// The shortest lease, so that events are often taken over.
pub(crate) const LEASE: Duration = MIN_LEASE;

/// What the sender sends: the event, and what its handler does, so that this comes from the seed as well.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    /// Work before the effect and after it.
    pub(crate) before: Duration,
    pub(crate) after: Duration,
    /// Whether the handler fails after its effect.
    pub(crate) fails: bool,
}

impl WebhookEvent for Delivery {
    fn event_id(&self) -> &str {
        &self.id
    }
}

impl Delivery {
    async fn outcome(&self) -> StatusCode {
        tokio::time::sleep(self.after).await;
        if self.fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::CREATED }
    }
}

/// The state of a worker.
#[derive(Debug)]
pub(crate) struct Endpoint<L> {
    pub(crate) log: L,
    pub(crate) effects: EffectsFile,
}

type Reply = Result<StatusCode, Error>;

pub(crate) fn fenced<L: ProcessedEventLog + 'static>(endpoint: Endpoint<L>) -> Router {
    Router::new().route("/", post(fence::<L>)).with_state(Arc::new(endpoint))
}

#[idempotent_webhook(log = endpoint.log)]
async fn fence<L: ProcessedEventLog>(
    State(endpoint): State<Arc<Endpoint<L>>>,
    Json(event): Json<Delivery>,
) -> Reply {
    tokio::time::sleep(event.before).await;
    endpoint.effects.append(&event.id, None);
    Ok(event.outcome().await)
}

pub(crate) fn claimed<L: ClaimLog + 'static>(endpoint: Endpoint<L>) -> Router {
    Router::new().route("/", post(claim::<L>)).with_state(Arc::new(endpoint))
}

#[idempotent_webhook(log = endpoint.log, claim(claimed, lease = LEASE))]
async fn claim<L: ClaimLog>(State(endpoint): State<Arc<Endpoint<L>>>, Json(event): Json<Delivery>) -> Reply {
    tokio::time::sleep(event.before).await;
    endpoint.effects.append(&event.id, Some(&claimed));
    Ok(event.outcome().await)
}

pub(crate) fn transacted<L: TransactionalLog + 'static>(endpoint: Endpoint<L>) -> Router
where
    <L::Transaction as Deref>::Target: WriteEffect,
{
    Router::new().route("/", post(transaction::<L>)).with_state(Arc::new(endpoint))
}

#[idempotent_webhook(log = endpoint.log, transaction(tx))]
async fn transaction<L: TransactionalLog>(
    State(endpoint): State<Arc<Endpoint<L>>>,
    Json(event): Json<Delivery>,
) -> Reply
where
    <L::Transaction as Deref>::Target: WriteEffect,
{
    tokio::time::sleep(event.before).await;
    tx.write_effect(&event.id).await.map_err(|error| Error::store("write the effect", error))?;
    Ok(event.outcome().await)
}

/// Deliveries that need no signature.
pub(crate) struct Unsigned;

impl Sender for Unsigned {
    type Event = Delivery;
    const NAME: &'static str = "rig";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, delivery: &sender::Delivery<'_>) -> Result<Delivery, SignatureError> {
        Ok(self.decode(delivery)?)
    }

    fn decode(&self, delivery: &sender::Delivery<'_>) -> Result<Delivery, PayloadError> {
        delivery.json()
    }
}

/// An event is killed more often than any real one, and none may be parked.
const MAX_ATTEMPTS: u32 = 10_000;

/// The lease of an event of the inbox. Shorter ones end while a handler waits for SQLite's only writer, on a busy machine.
const INBOX_LEASE: Duration = Duration::from_secs(3);

/// One run of a handler behind the inbox in so many fails.
const RUNS_PER_FAILURE: u32 = 30;

pub(crate) fn inbox<D: InboxDatabase>(log: &SqlLog<D>) -> Inbox<D, Unsigned> {
    Inbox::new(log.clone(), Unsigned)
        .with_max_attempts(MAX_ATTEMPTS)
        .with_backoff(Backoff::exponential(Duration::from_millis(10)..Duration::from_millis(500)))
}

/// Answers 202, and delivers to the handler with a transaction.
pub(crate) fn received_and_transacted<D: InboxDatabase>(
    endpoint: Endpoint<SqlLog<D>>,
    handlers: usize,
) -> Router
where
    SqlLog<D>: TransactionalLog,
    <<SqlLog<D> as TransactionalLog>::Transaction as Deref>::Target: WriteEffect,
{
    let inbox = inbox(&endpoint.log);
    let endpoint = Arc::new(endpoint);
    received(&inbox, handlers, move |event| transaction(State(Arc::clone(&endpoint)), Json(event)))
}

/// Answers 202, and delivers to the handler under a claim.
pub(crate) fn received_and_claimed<D: InboxDatabase>(endpoint: Endpoint<SqlLog<D>>, handlers: usize) -> Router
where
    SqlLog<D>: ClaimLog + 'static,
{
    let inbox = inbox(&endpoint.log);
    let endpoint = Arc::new(endpoint);
    received(&inbox, handlers, move |event| claim(State(Arc::clone(&endpoint)), Json(event)))
}

/// Runs a worker of so many handlers in the same process.
fn received<D, F, Fut>(inbox: &Inbox<D, Unsigned>, handlers: usize, handler: F) -> Router
where
    D: InboxDatabase,
    F: Fn(Delivery) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    let worker = inbox.worker(move |event: Delivery| {
        let fails = rand::random_ratio(1, RUNS_PER_FAILURE);
        handler(Delivery { fails, ..event })
    });
    let worker = worker
        .with_lease(INBOX_LEASE)
        .with_concurrency(handlers)
        .with_poll_interval(Duration::from_millis(200));
    tokio::spawn(async move {
        if let Err(error) = worker.run(std::future::pending()).await {
            eprintln!("the worker of the inbox ended: {error}: {:?}", std::error::Error::source(&error));
            std::process::exit(3);
        }
    });
    Router::new().route("/", post(inbox.receive()))
}
