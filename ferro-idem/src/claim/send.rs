//! How a delivery's claim is sent.

use std::future::Future;
use std::time::Duration;

use super::{ClaimLog, ClaimOutcome};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;

/// Sends a delivery's claim, and may read more in the same request.
pub(crate) trait SendClaim: Send {
    fn send(
        &mut self,
        log: &dyn ClaimLog,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<ClaimOutcome, Error>> + Send;
}

/// Sends [`ClaimLog::claim`].
pub(super) struct OnlyClaims;

impl SendClaim for OnlyClaims {
    async fn send(
        &mut self,
        log: &dyn ClaimLog,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> Result<ClaimOutcome, Error> {
        log.claim(event, owner, lease).await
    }
}
