//! Cases about concurrent claims.

use std::sync::Arc;
use std::time::Duration;

use super::is_higher;
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::conformance::Store;
use crate::conformance::breach::{Breach, Kept, check};
use crate::conformance::delivering::{
    LONG_LEASE, Patience, RACERS, ROUNDS, SHORT_LEASE, acquire, claim, handles, race, take_over,
};
use crate::owner::Owner;

/// The racers that hold the event.
async fn winners_of<L: ClaimLog + 'static>(handles: &[Arc<L>], id: &str) -> Kept<Vec<Ownership>> {
    let claims = race(handles, |_, log| {
        let id = id.to_owned();
        async move {
            let owner = Owner::random()?;
            match claim(&*log, &id, owner, LONG_LEASE).await? {
                ClaimOutcome::Acquired { token } => Ok(Some(Ownership { owner, token })),
                ClaimOutcome::InProgress { .. } => Ok(None),
                ClaimOutcome::Processed => {
                    Err(Breach(format!("nobody completed {id:?}, and it is processed")))
                }
            }
        }
    });
    Ok(claims.await?.into_iter().flatten().collect())
}

pub(in crate::conformance) async fn of_many_racers_one_acquires<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let handles = handles(store).await;
    for round in 0..ROUNDS {
        let id = format!("raced_{round}");
        let winners = winners_of(&handles, &id).await?;
        check(winners.len() == 1, || {
            format!("of {RACERS} claims of {id:?} at once, {} were acquired", winners.len())
        })?;
    }
    Ok(())
}

pub(in crate::conformance) async fn racers_for_a_lease_that_ran_out_have_one_winner<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog,
{
    let handles = handles(store).await;
    let Some(log) = handles.first() else { return Ok(()) };
    for round in 0..ROUNDS {
        let id = format!("ran_out_{round}");
        let before = acquire(&**log, &id, SHORT_LEASE).await?;
        let patience = Patience::for_the("takeover of a claim whose lease is over");
        let mut winners = winners_of(&handles, &id).await?;
        while winners.is_empty() {
            patience.wait().await?;
            winners = winners_of(&handles, &id).await?;
        }
        check(winners.len() == 1, || {
            format!("of {RACERS} claims of {id:?} at once, {} were acquired", winners.len())
        })?;
        for winner in winners {
            is_higher(winner, before)?;
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn a_renewed_claim_lasts_for_the_new_lease<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "renewed", LONG_LEASE).await?;
    let outlasts = |lease: Duration, outcome| {
        check(
            matches!(outcome, ClaimOutcome::InProgress { retry_after }
                if retry_after + LONG_LEASE > lease && retry_after <= lease),
            || format!("after a renewal for {lease:?}, another claim came to {outcome:?}"),
        )
    };
    for lease in [LONG_LEASE * 6, LONG_LEASE * 3] {
        check(other.renew("renewed", held, lease).await?, || "a live claim was not renewed".into())?;
        outlasts(lease, claim(&log, "renewed", Owner::random()?, LONG_LEASE).await?)?;
    }
    // Renewing to a shorter lease is allowed as well, and the claim then ends earlier.
    check(log.renew("renewed", held, SHORT_LEASE).await?, || "a live claim was not renewed".into())?;
    let next = take_over(&other, "renewed", LONG_LEASE).await?;
    is_higher(next, held)
}
