//! Cases about one event under a plain fence and under claims.

use crate::claim::{ClaimLog, ClaimOutcome};
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{HANDLES, LONG_LEASE, RACERS, ROUNDS, acquire, claim, handles, race};
use crate::conformance::random::{self, Call};
use crate::log::ProcessedEventLog;
use crate::owner::Owner;

pub(in crate::conformance) async fn a_mark_is_processed_for_a_claim<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    check(log.try_mark_processed("marked").await?, || "a new event was not first".into())?;
    let outcome = claim(&other, "marked", Owner::random()?, LONG_LEASE).await?;
    check(outcome == ClaimOutcome::Processed, || format!("the claim of a marked event came to {outcome:?}"))
}

async fn is_seen<L: ProcessedEventLog>(log: &L, id: &str) -> Kept {
    check(!log.try_mark_processed(id).await?, || format!("the {id} event was first under a plain fence"))
}

pub(in crate::conformance) async fn a_claimed_event_is_seen_by_a_fence<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "claimed", LONG_LEASE).await?;
    is_seen(&other, "claimed").await?;
    check(log.renew("claimed", held, LONG_LEASE).await?, || "a mark took the claim away: no renewal".into())?;
    check(log.complete("claimed", held).await?, || "a mark took the claim away: no completion".into())
}

pub(in crate::conformance) async fn a_released_event_is_seen_by_a_fence<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "released", LONG_LEASE).await?;
    check(log.release("released", held).await?, || "a live claim was not released".into())?;
    is_seen(&other, "released").await?;
    let next = acquire(&other, "released", LONG_LEASE).await?;
    check(next.token > held.token, || format!("fence {} came after fence {}", next.token, held.token))
}

pub(in crate::conformance) async fn a_completed_event_is_seen_by_a_fence<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "completed", LONG_LEASE).await?;
    check(log.complete("completed", held).await?, || "a live claim was not completed".into())?;
    is_seen(&other, "completed").await
}

pub(in crate::conformance) async fn of_marks_and_claims_at_once_one_has_the_event<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + ClaimLog,
{
    let handles = handles(store).await;
    for round in 0..ROUNDS {
        let id = format!("raced_{round}");
        let verdicts = race(&handles, |racer, log| {
            let id = id.clone();
            async move {
                // Each handle both marks and claims.
                if (racer / HANDLES).is_multiple_of(2) {
                    return Ok(log.try_mark_processed(&id).await?);
                }
                let outcome = claim(&*log, &id, Owner::random()?, LONG_LEASE).await?;
                Ok(matches!(outcome, ClaimOutcome::Acquired { .. }))
            }
        });
        let winners = verdicts.await?.into_iter().filter(|has| *has).count();
        check(winners == 1, || {
            format!("of {RACERS} marks and claims of {id:?} at once, {winners} had the event")
        })?;
    }
    Ok(())
}

pub(in crate::conformance) async fn random_steps_follow_the_model<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + ClaimLog,
{
    random::follow(store, random::MARKS | random::CLAIMS, async |log, call| match call {
        Call::Mark { .. } => random::mark(log, call).await,
        _ => random::claim(log, call).await,
    })
    .await
}
