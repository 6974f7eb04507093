//! Cases about a worker whose lease has ended and that does not know it yet.

use std::time::Duration;

use super::{
    LONG_LEASE, SHORT_LEASE, TestedInbox, complete, is_first, nothing_is_due, take, take_only, take_over,
};
use crate::claim::Ownership;
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::inbox::parts::{Held, Taken};
use crate::owner::Owner;

/// An event whose lease has ended, and the worker that took it over.
async fn taken_over<I: TestedInbox>(inbox: &I, other: &I, id: &str) -> Kept<(Taken, Taken)> {
    is_first(inbox, id, Some(id)).await?;
    let late = take_only(inbox, id, SHORT_LEASE).await?;
    let next = take_over(other, id, LONG_LEASE).await?;
    Ok((late, next))
}

/// The event belongs to the next worker, whatever the late one did.
async fn is_unharmed<I: TestedInbox>(inbox: &I, next: &Taken, what: &str) -> Kept {
    nothing_is_due(inbox, "the only event is held").await?;
    check(inbox.renew(&next.held, LONG_LEASE).await?, || {
        format!("a late worker's {what} took the event away")
    })?;
    complete(inbox, next).await
}

pub(in crate::conformance) async fn a_lease_that_ended_is_taken_over_under_a_higher_token<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for order_key in [None, Some("ended")] {
        let id = format!("ended, with {order_key:?}");
        is_first(&inbox, &id, order_key).await?;
        let mut before = take_only(&inbox, &id, SHORT_LEASE).await?;
        for inbox in [&other, &inbox, &other] {
            let next = take_over(inbox, &id, SHORT_LEASE).await?;
            check(next.held.ownership.token > before.held.ownership.token, || {
                format!("{:?} was taken over under {:?}", before.held, next.held)
            })?;
            check(next.stored == before.stored, || format!("{id:?} was taken over with another body"))?;
            before = next;
        }
        let last = take_over(&inbox, &id, LONG_LEASE).await?;
        complete(&inbox, &last).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_late_worker_completes_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let (late, next) = taken_over(&inbox, &other, "completed late").await?;
    check(!inbox.complete(&late.held).await?, || "a late worker's completion was true".into())?;
    is_unharmed(&other, &next, "completion").await
}

pub(in crate::conformance) async fn a_late_worker_parks_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let (late, next) = taken_over(&inbox, &other, "parked late").await?;
    check(!inbox.park(&late.held, "").await?, || "a late worker's parking was true".into())?;
    is_unharmed(&other, &next, "parking").await
}

pub(in crate::conformance) async fn a_late_worker_gives_nothing_back<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let (late, next) = taken_over(&inbox, &other, "given back late").await?;
    let backed_off = inbox.back_off(&late.held, Duration::ZERO, "").await?;
    check(!backed_off, || "a late worker's backoff was true".into())?;
    check(!inbox.release(&late.held).await?, || "a late worker's release was true".into())?;
    is_unharmed(&other, &next, "backoff or release").await
}

pub(in crate::conformance) async fn a_late_worker_renews_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let (late, next) = taken_over(&inbox, &other, "renewed late").await?;
    check(!inbox.renew(&late.held, LONG_LEASE).await?, || "a late worker's renewal was true".into())?;
    is_unharmed(&other, &next, "renewal").await
}

pub(in crate::conformance) async fn owner_and_token_together_are_the_proof<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    is_first(&inbox, "proof", None).await?;
    let taken = take_only(&inbox, "proof", LONG_LEASE).await?;
    let Ownership { owner, token } = taken.held.ownership;
    let forged = |ownership| Held { ownership, ..taken.held.clone() };
    for (what, forged) in [
        ("owner", forged(Ownership { owner: Owner::random()?, token })),
        ("higher fencing token", forged(Ownership { owner, token: token + 1 })),
        ("lower fencing token", forged(Ownership { owner, token: token.saturating_sub(1) })),
    ] {
        for (how, changed) in [
            ("renewed", other.renew(&forged, SHORT_LEASE).await?),
            ("backed off", other.back_off(&forged, Duration::ZERO, "").await?),
            ("released", other.release(&forged).await?),
            ("parked", other.park(&forged, "").await?),
            ("completed", other.complete(&forged).await?),
        ] {
            check(!changed, || format!("with another {what} than the worker's, the event was {how}"))?;
        }
    }
    // The proof counts on every process.
    is_unharmed(&other, &taken, "forged proof").await?;
    check(!other.complete(&taken.held).await?, || "a processed event was completed".into())
}

pub(in crate::conformance) async fn a_renewed_lease_is_not_taken_over<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    is_first(&inbox, "renewed", None).await?;
    let mut held = take_only(&inbox, "renewed", SHORT_LEASE).await?;
    check(inbox.renew(&held.held, LONG_LEASE).await?, || "a lease was not renewed".into())?;
    tokio::time::sleep(SHORT_LEASE * 2).await;
    nothing_is_due(&other, "the only event is held under a renewed lease").await?;
    // Renewing to a shorter lease is allowed as well, and the lease then ends earlier.
    check(inbox.renew(&held.held, SHORT_LEASE).await?, || "a live lease was not renewed".into())?;
    held = take_over(&other, "renewed", LONG_LEASE).await?;
    check(take(&inbox, 1, LONG_LEASE).await?.is_empty(), || "an event was taken by two workers".into())?;
    complete(&other, &held).await
}
