//! Claims, each step one statement: the database decides.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::SqlLog;
use super::dialect::{Dialect, Held, Mark, NewClaim, Step};
use super::group::{Settlement, Told, share};
use super::request::{Looks, NewClaims, Settling};
use super::session::{Session, Unanswered};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::retry::Attempts;

impl<D: Dialect> SqlLog<D> {
    async fn settle(
        &self,
        step: Step,
        event_id: &str,
        held: Ownership,
        lease: Duration,
    ) -> Result<bool, Error> {
        self.claim_statements().await?;
        let held = Held {
            id: event_id.into(),
            owner: held.owner,
            token: i64::try_from(held.token).unwrap_or(i64::MAX),
            lease_millis: millis(lease),
        };
        let mut again = false;
        if self.shares {
            match share(Session::of_many(self), Settlement { step, held: held.clone() }).await {
                Told::Answer(is_settled) => return Ok(is_settled),
                Told::Failed(error) => return Err(error),
                Told::Alone { again: may_be_done } => again = may_be_done,
            }
        }
        Ok(Session::of_one(self)
            .ask_on(Attempts::after(again), &Settling { step, held: &[&held] })
            .await
            .map_err(Unanswered::into_error)?
            .contains(&true))
    }

    /// Alone, until it is had or another's.
    async fn claim_alone(&self, claim: &NewClaim, again: bool) -> Result<ClaimOutcome, Error> {
        let mut session = Session::of_one(self);
        loop {
            let claimed = session
                .ask_on(Attempts::after(again), &NewClaims(&[claim]))
                .await
                .map_err(Unanswered::into_error)?
                .first()
                .and_then(|claimed| claimed.as_outcome());
            if let Some(outcome) = claimed {
                return Ok(outcome);
            }
            // In a statement of its own: in one with the claim, it would not see what the claim met.
            let standing = session.ask(&Looks(&[&claim.mark.id])).await.map_err(Unanswered::into_error)?;
            if let Some(outcome) = standing.first().and_then(|standing| standing.as_outcome()) {
                return Ok(outcome);
            }
        }
    }
}

#[async_trait]
impl<D: Dialect> ClaimLog for SqlLog<D> {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.claim_statements().await?;
        let claim = NewClaim { mark: Mark::new(event, owner), lease_millis: millis(lease) };
        let mut again = false;
        if self.shares {
            match share(Session::of_many(self), claim.clone()).await {
                Told::Answer(outcome) => return Ok(outcome),
                Told::Failed(error) => return Err(error),
                Told::Alone { again: may_be_done } => again = may_be_done,
            }
        }
        self.claim_alone(&claim, again).await
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.settle(Step::Renew, event_id, held, lease).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.settle(Step::Complete, event_id, held, Duration::ZERO).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.settle(Step::Release, event_id, held, Duration::ZERO).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

fn millis(duration: Duration) -> i64 {
    // A century, so that adding it to the time cannot overflow.
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(3_155_760_000_000)
}
