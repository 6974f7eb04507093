//! A claim whose lease is long enough for a body to begin.

use std::time::Duration;

use tokio::time::Instant;

use super::send::SendClaim;
use super::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::steps::{Step, step};

/// Claims, and returns the moment from which the lease is counted on this machine's clock. `made`: the claim was made
/// before, as this owner. `send` sends the claim.
///
/// If the store took half of the lease to answer, no body may begin, because the lease may end before it can
/// be renewed. We claim once more as the same owner, which renews the claim. If the store is late again, it
/// is too slow for this lease.
pub(super) async fn claim_in_time(
    log: &dyn ClaimLog,
    send: &mut impl SendClaim,
    event: EventRef<'_>,
    owner: Owner,
    length: Duration,
    mut made: Option<(ClaimOutcome, Instant)>,
) -> Result<(ClaimOutcome, Instant), Error> {
    let mut late = None;
    for _ in 0..2 {
        let (outcome, asked_at) = if let Some(made) = made.take() {
            made
        } else {
            let asked_at = Instant::now();
            (step(Step::Claim, send.send(log, event, owner, length)).await?, asked_at)
        };
        let ClaimOutcome::Acquired { token } = outcome else { return Ok((outcome, asked_at)) };
        if asked_at.elapsed() < length / 2 {
            return Ok((outcome, asked_at));
        }
        late = Some(Ownership { owner, token });
    }
    if let Some(held) = late {
        // If this fails, the lease ends by itself.
        drop(step(Step::Withdraw, log.withdraw(event.id(), held)).await);
    }
    Err(Error::lease_lost(event.id()))
}
