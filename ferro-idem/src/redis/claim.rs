//! Claims: one script for each step.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionLike;

use super::request::{Request, When};
use super::undelivered::{HELD_BEFORE, Made};
use super::{RedisLog, millis, script};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::Attempts;

/// The states in which a claim is settled.
#[derive(Clone, Copy)]
enum Settled {
    Processed = 1,
    Released = 2,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// The key of a live claim never expires before its lease ends.
    fn time_to_live(&self, lease: Duration) -> u64 {
        millis(self.retention.max(lease))
    }

    async fn settle(
        &self,
        operation: &'static str,
        event_id: &str,
        held: Ownership,
        settled: Settled,
    ) -> Result<bool, Error> {
        let arguments = (held.owner.as_bytes().as_slice(), held.token, settled as u8, millis(self.retention));
        let request = Request { operation, script: &script::SETTLE, event_id, when: When::AtAnyTime };
        let (outcome, _) = self.send(Attempts::until_deadline(), request, arguments).await?;
        Ok(outcome == 1)
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> ClaimLog for RedisLog<C> {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        let attempts = Attempts::until_deadline();
        self.refuse_eviction(&attempts).await?;
        let log = self.clone();
        let (event_id, event_type) = (event.id().to_owned(), event.recorded_type().map(Cow::into_owned));
        let claiming = async move {
            let event_type = event_type.as_deref().unwrap_or_default();
            let time_to_live = log.time_to_live(lease);
            let arguments = (owner.as_bytes().as_slice(), event_type, millis(lease), time_to_live);
            let request = Request {
                operation: "claim the event",
                script: &script::CLAIM,
                event_id: &event_id,
                when: When::TakenBack(owner, Made::Claim { lease }),
            };
            log.send_undelivered(attempts, request, arguments).await
        };
        let (outcome, number) = DetachOnDrop::new(claiming).await?.deliver();
        Ok(match outcome {
            0 | HELD_BEFORE => ClaimOutcome::Acquired { token: number },
            1 => ClaimOutcome::InProgress { retry_after: Duration::from_millis(number) },
            _ => ClaimOutcome::Processed,
        })
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        let arguments =
            (held.owner.as_bytes().as_slice(), held.token, millis(lease), self.time_to_live(lease));
        let request = Request {
            operation: "renew the claim",
            script: &script::RENEW,
            event_id,
            when: When::BeforeDeadline,
        };
        let (outcome, _) = self.send(Attempts::until_deadline(), request, arguments).await?;
        Ok(outcome == 1)
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.settle("complete the event", event_id, held, Settled::Processed).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.settle("release the event", event_id, held, Settled::Released).await
    }

    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        let arguments = (held.owner.as_bytes().as_slice(), held.token, millis(self.retention));
        let request = Request {
            operation: "take the claim back",
            script: &script::WITHDRAW,
            event_id,
            when: When::AtAnyTime,
        };
        let (outcome, _) = self.send(Attempts::until_deadline(), request, arguments).await?;
        Ok(outcome == 1)
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.shared)
    }
}
