//! Cases about completed and released events.

use super::{is_higher, is_processed};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{LONG_LEASE, acquire, claim};

async fn released<L: ClaimLog>(log: &L, id: &str) -> Kept<Ownership> {
    let held = acquire(log, id, LONG_LEASE).await?;
    check(log.release(id, held).await?, || "a live claim was not released".into())?;
    Ok(held)
}

async fn completed<L: ClaimLog>(log: &L, id: &str) -> Kept<Ownership> {
    let held = acquire(log, id, LONG_LEASE).await?;
    check(log.complete(id, held).await?, || "a live claim was not completed".into())?;
    Ok(held)
}

pub(in crate::conformance) async fn a_released_event_is_claimed_at_once<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let before = released(&log, "released").await?;
    let next = acquire(&other, "released", LONG_LEASE).await?;
    is_higher(next, before)?;
    check(other.complete("released", next).await?, || "the next claim was not completed".into())?;
    is_processed(&log, "released").await
}

pub(in crate::conformance) async fn what_is_released_cannot_be_renewed_or_completed<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = released(&log, "given up").await?;
    check(!log.renew("given up", held, LONG_LEASE).await?, || "a released claim was renewed".into())?;
    check(!other.complete("given up", held).await?, || "a released claim was completed".into())?;
    is_higher(acquire(&log, "given up", LONG_LEASE).await?, held)
}

pub(in crate::conformance) async fn to_release_again_is_no_failure<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = released(&log, "released twice").await?;
    for log in [&log, &other] {
        check(log.release("released twice", held).await?, || "the second release was false".into())?;
    }
    let next = acquire(&other, "released twice", LONG_LEASE).await?;
    check(!log.release("released twice", held).await?, || {
        "another delivery had the event, and the release was still true".into()
    })?;
    check(other.complete("released twice", next).await?, || "the release took another's claim".into())
}

pub(in crate::conformance) async fn a_withdrawn_claim_is_over<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let before = released(&log, "withdrawn").await?;
    let held = acquire(&log, "withdrawn", LONG_LEASE).await?;
    check(log.withdraw("withdrawn", held).await?, || "a live claim was not withdrawn".into())?;
    check(!other.renew("withdrawn", held, LONG_LEASE).await?, || "a withdrawn claim was renewed".into())?;
    check(!other.complete("withdrawn", held).await?, || "a withdrawn claim was completed".into())?;
    let next = acquire(&other, "withdrawn", LONG_LEASE).await?;
    is_higher(next, before)?;
    for log in [&log, &other] {
        check(!log.complete("withdrawn", held).await?, || "it completed the next claim".into())?;
        check(!log.release("withdrawn", held).await?, || "it released the next claim".into())?;
        check(!log.withdraw("withdrawn", held).await?, || "it withdrew the next claim".into())?;
    }
    check(other.complete("withdrawn", next).await?, || "the next claim was not completed".into())?;
    is_processed(&log, "withdrawn").await
}

pub(in crate::conformance) async fn to_complete_again_is_no_failure<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = completed(&log, "completed twice").await?;
    for log in [&log, &other] {
        check(log.complete("completed twice", held).await?, || "the second complete was false".into())?;
    }
    is_processed(&other, "completed twice").await
}

pub(in crate::conformance) async fn what_is_processed_stays_processed<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = completed(&log, "processed").await?;
    check(!log.renew("processed", held, LONG_LEASE).await?, || "a processed event was renewed".into())?;
    check(!log.release("processed", held).await?, || "a processed event was released".into())?;
    for log in [&log, &other] {
        is_processed(log, "processed").await?;
        let outcome = claim(log, "processed", held.owner, LONG_LEASE).await?;
        check(outcome == ClaimOutcome::Processed, || {
            format!("the owner that completed it claimed it again, and that came to {outcome:?}")
        })?;
    }
    Ok(())
}
