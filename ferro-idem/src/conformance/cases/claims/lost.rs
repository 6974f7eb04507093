//! Cases about a delivery whose lease has ended and that does not know it yet, called the zombie.

use super::{is_held, is_higher};
use crate::claim::{ClaimLog, Ownership};
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{LONG_LEASE, SHORT_LEASE, acquire, take_over};
use crate::owner::Owner;

/// A claim whose lease has ended, and the claim that took the event over.
async fn taken_over<L: ClaimLog>(log: &L, other: &L, id: &str) -> Kept<(Ownership, Ownership)> {
    let zombie = acquire(log, id, SHORT_LEASE).await?;
    let next = take_over(other, id, LONG_LEASE).await?;
    Ok((zombie, next))
}

/// Checks that the event belongs to the next delivery, whatever the zombie did.
async fn is_unharmed<L: ClaimLog>(log: &L, id: &str, next: Ownership) -> Kept {
    is_held(log, id).await?;
    check(log.renew(id, next, LONG_LEASE).await?, || "the zombie took the claim from the next one".into())?;
    check(log.complete(id, next).await?, || "the zombie took the claim from the next one".into())
}

pub(in crate::conformance) async fn a_lease_that_ran_out_is_taken_over_under_a_higher_fence<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let mut before = acquire(&log, "ran out", SHORT_LEASE).await?;
    for log in [&other, &log, &log] {
        let next = take_over(log, "ran out", SHORT_LEASE).await?;
        is_higher(next, before)?;
        before = next;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_zombie_completes_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let (zombie, next) = taken_over(&log, &other, "zombie completes").await?;
    check(!log.complete("zombie completes", zombie).await?, || "the zombie's complete was true".into())?;
    is_unharmed(&other, "zombie completes", next).await
}

pub(in crate::conformance) async fn a_zombie_releases_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let (zombie, next) = taken_over(&log, &other, "zombie releases").await?;
    check(!log.release("zombie releases", zombie).await?, || "the zombie's release was true".into())?;
    is_unharmed(&other, "zombie releases", next).await
}

pub(in crate::conformance) async fn a_zombie_renews_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let (zombie, next) = taken_over(&log, &other, "zombie renews").await?;
    check(!log.renew("zombie renews", zombie, LONG_LEASE).await?, || "the zombie's renewal was true".into())?;
    is_unharmed(&other, "zombie renews", next).await
}

pub(in crate::conformance) async fn owner_and_fence_together_are_the_claim<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let log = store.open().await;
    let held = acquire(&log, "pair", LONG_LEASE).await?;
    let stranger = Ownership { owner: Owner::random()?, ..held };
    let higher = Ownership { token: held.token + 1, ..held };
    let lower = Ownership { token: held.token - 1, ..held };
    for (what, forged) in
        [("owner", stranger), ("higher fencing token", higher), ("lower fencing token", lower)]
    {
        let changed = [
            ("renewed", log.renew("pair", forged, SHORT_LEASE).await?),
            ("released", log.release("pair", forged).await?),
            ("completed", log.complete("pair", forged).await?),
        ];
        for (how, changed) in changed {
            check(!changed, || format!("with another {what} than the claim's, the event was {how}"))?;
        }
    }
    is_unharmed(&log, "pair", held).await
}

pub(in crate::conformance) async fn an_unknown_event_is_nobodys<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let log = store.open().await;
    for token in [0, 1] {
        let forged = Ownership { owner: Owner::random()?, token };
        let changed = log.renew("unknown", forged, LONG_LEASE).await?
            || log.complete("unknown", forged).await?
            || log.release("unknown", forged).await?;
        check(!changed, || "an event that nobody claimed was renewed, completed or released".into())?;
    }
    acquire(&log, "unknown", LONG_LEASE).await.map(drop)
}
