//! Claims, each step one statement: the database decides.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::SqlLog;
use super::ask::{Looks, NewClaims, Settling};
use super::dialect::{Dialect, Held, Mark, NewClaim, Standing, Step};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;

impl<D: Dialect> SqlLog<D> {
    async fn settle(
        &self,
        step: Step,
        event_id: &str,
        held: Ownership,
        lease: Duration,
    ) -> Result<bool, Error> {
        let held = [Held {
            event_id,
            owner: held.owner,
            fence: i64::try_from(held.fence).unwrap_or(i64::MAX),
            lease_millis: millis(lease),
        }];
        let statements = self.claim_statements().await?;
        Ok(self.ask(statements, &Settling { step, held: &held }).await?.contains(&true))
    }
}

#[async_trait]
impl<D: Dialect> ClaimLog for SqlLog<D> {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        let claims = [NewClaim { mark: Mark { event, owner }, lease_millis: millis(lease) }];
        let statements = self.claim_statements().await?;
        loop {
            if let Some(&Some(fence)) = self.ask(statements, &NewClaims(&claims)).await?.first() {
                return Ok(ClaimOutcome::Acquired { fence });
            }
            // In a statement of its own: in one with the claim, it would not see what the claim met.
            match self.ask(statements, &Looks(&[event.id()])).await?.first() {
                Some(Standing::Processed) => return Ok(ClaimOutcome::Processed),
                Some(&Standing::Claimed { left }) => {
                    return Ok(ClaimOutcome::InProgress { retry_after: left });
                }
                // It was freed meanwhile, and can be claimed now.
                Some(Standing::Free) | None => {}
            }
        }
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
