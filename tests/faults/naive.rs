//! The negative control: the log that is usually written by hand, repeated after an error.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership, ProcessedEventLog};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use sqlx::PgPool;

use super::rig::{Delivered, OnPostgres, Rig, is_idle};

pub(crate) struct OnPostgresNaively(OnPostgres);

#[derive(Clone)]
pub(crate) struct Naive(PgPool);

#[async_trait]
impl ProcessedEventLog for Naive {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        for _ in 0..8 {
            let insert = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES ($1, '') \
                 ON CONFLICT (event_id) DO NOTHING";
            if let Ok(done) = sqlx::query(insert).bind(event_id).execute(&self.0).await {
                return Ok(done.rows_affected() == 1);
            }
        }
        Err(Error::store("mark the event as processed", "eight attempts failed"))
    }
}

impl Rig for OnPostgresNaively {
    const NAME: &'static str = "PostgreSQL by hand";
    const PROTOCOL: Protocol = Protocol::Postgres;
    type Log = Naive;

    async fn fresh() -> Self {
        Self(OnPostgres::fresh().await)
    }

    fn server_port(&self) -> u16 {
        self.0.server_port()
    }

    async fn open(&self, proxy: Option<&Proxy>) -> Naive {
        Naive(self.0.open(proxy).await.pool().clone())
    }

    fn is_at_rest(log: &Naive) -> bool {
        is_idle(&log.0)
    }

    async fn transaction(_: &Naive, _: &str) -> Delivered {
        unreachable!("only a fence")
    }

    async fn effects(_: &Naive, _: &str) -> i64 {
        unreachable!("only a fence")
    }
}

/// The rig needs a log with claims.
#[async_trait]
impl ClaimLog for Naive {
    async fn claim(&self, _: EventRef<'_>, _: Owner, _: Duration) -> Result<ClaimOutcome, Error> {
        unreachable!("only a fence")
    }

    async fn renew(&self, _: &str, _: Ownership, _: Duration) -> Result<bool, Error> {
        unreachable!("only a fence")
    }

    async fn complete(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        unreachable!("only a fence")
    }

    async fn release(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        unreachable!("only a fence")
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}
