//! The handlers under test: the real attribute, behind real HTTP.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use ferro_idem::{
    ClaimLog, Error, MIN_LEASE, ProcessedEventLog, TransactionalLog, WebhookEvent, idempotent_webhook,
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
