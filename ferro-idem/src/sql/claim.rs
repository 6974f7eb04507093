//! Claims. Each step is one statement, so that the database decides.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::SqlLog;
use super::dialect::SqlDatabase;
use super::event_state::{ClaimAnswer, ClaimStep, Claimed, HeldClaim, NewClaim, millis};
use super::fault::Fault;
use super::group::{BatchAnswer, ClaimGroup, ClaimUpdate, send_in_batch};
use super::request::{ClaimEvents, LookAtEvents, UpdateClaims};
use super::session::{RequestFailed, Session};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::{Attempt, Attempts};

/// How often a claim meets an event that is freed at the same moment, before the table is at fault.
const MAX_ROUNDS: u32 = 16;

impl<D: SqlDatabase> SqlLog<D> {
    /// Takes a step with a claim, over a table that was looked at.
    pub(super) async fn update_claim(&self, step: ClaimStep, held: HeldClaim) -> Result<bool, Error> {
        let mut attempt = Attempt::First;
        if self.has_group_commit {
            let session = || Session::for_batches(&self.core);
            let update = ClaimUpdate { step, held: held.clone() };
            match send_in_batch(session, self.groups.updates(step), update).await {
                BatchAnswer::Answer(is_changed) => return Ok(is_changed),
                BatchAnswer::Failed(error) => return Err(error),
                BatchAnswer::Alone(next) => attempt = next,
            }
        }
        Ok(Session::for_caller(&self.core)
            .send_after(&mut Attempts::starting_with(attempt), &UpdateClaims { step, held: &[&held] })
            .await
            .map_err(RequestFailed::into_error)?
            .contains(&true))
    }

    /// Claims over a table that was looked at, in the statement that other callers of the group share.
    pub(super) async fn claim_in(
        &self,
        group: &Arc<ClaimGroup>,
        claim: NewClaim,
    ) -> Result<ClaimAnswer, Error> {
        let mut attempt = Attempt::First;
        if self.has_group_commit {
            let session = || Session::for_batches(&self.core);
            match send_in_batch(session, group, claim.clone()).await {
                BatchAnswer::Answer(answer) => return Ok(answer),
                BatchAnswer::Failed(error) => return Err(error),
                BatchAnswer::Alone(next) => attempt = next,
            }
        }
        self.claim_alone(&claim, attempt).await
    }

    /// Claims one event in statements of its own, until the outcome is known.
    async fn claim_alone(&self, claim: &NewClaim, attempt: Attempt) -> Result<ClaimAnswer, Error> {
        let mut session = Session::for_caller(&self.core);
        for _ in 0..MAX_ROUNDS {
            let claimed = session
                .send_after(&mut Attempts::starting_with(attempt), &ClaimEvents(&[claim]))
                .await
                .map_err(RequestFailed::into_error)?
                .pop()
                .and_then(Claimed::into_answer);
            if let Some(answer) = claimed {
                return Ok(answer);
            }
            // A second statement, because the claim's own does not see the row that it conflicted with.
            let states =
                session.send(&LookAtEvents(&[&claim.mark.id])).await.map_err(RequestFailed::into_error)?;
            if let Some(outcome) = states.first().and_then(|state| state.as_outcome()) {
                return Ok(outcome.into());
            }
        }
        let verifies = self.core.full().is_none_or(|sql| sql.verifies);
        let fault = if verifies { Fault::swallowed() } else { Fault::deleted_meanwhile() };
        Err(fault.of("claim the event", "the event is free, and cannot be claimed"))
    }
}

#[async_trait]
impl<D: SqlDatabase> ClaimLog for SqlLog<D> {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.core.claim_sql().await?;
        let claim = NewClaim::new(event, owner, lease);
        Ok(self.claim_in(&self.groups.claims, claim).await?.outcome)
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.core.claim_sql().await?;
        let held = HeldClaim { lease_millis: millis(lease), ..HeldClaim::new(event_id, held) };
        self.update_claim(ClaimStep::Renew, held).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.core.claim_sql().await?;
        self.update_claim(ClaimStep::Complete, HeldClaim::new(event_id, held)).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.core.claim_sql().await?;
        self.update_claim(ClaimStep::Release, HeldClaim::new(event_id, held)).await
    }

    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.core.claim_sql().await?;
        self.update_claim(ClaimStep::Withdraw, HeldClaim::new(event_id, held)).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }

    fn store_id(&self) -> StoreId {
        self.core.store_id
    }

    /// Claims that are made ahead gain only by sharing a statement.
    fn shared_store_id(&self) -> Option<StoreId> {
        self.has_group_commit.then_some(self.core.store_id)
    }
}
