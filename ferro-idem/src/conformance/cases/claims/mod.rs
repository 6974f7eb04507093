//! Cases about claims: at least once, one at a time.

mod lost;
mod racing;
mod settled;
mod store;

use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{LONG_LEASE, acquire, claim, event};
use crate::conformance::{Store, ids, random};
use crate::owner::Owner;

pub(in crate::conformance) use self::lost::*;
pub(in crate::conformance) use self::racing::*;
pub(in crate::conformance) use self::settled::*;
pub(in crate::conformance) use self::store::*;

/// Checks that the claim still holds, so that another owner gets "in progress".
async fn is_held<L: ClaimLog>(log: &L, id: &str) -> Kept {
    let outcome = claim(log, id, Owner::random()?, LONG_LEASE).await?;
    check(matches!(outcome, ClaimOutcome::InProgress { .. }), || {
        format!("{id:?} was another's, and a claim came to {outcome:?}")
    })
}

/// Checks that the event is completed, so that another owner gets "processed".
pub(in crate::conformance) async fn is_processed<L: ClaimLog>(log: &L, id: &str) -> Kept {
    let outcome = claim(log, id, Owner::random()?, LONG_LEASE).await?;
    check(outcome == ClaimOutcome::Processed, || {
        format!("{id:?} was processed, and a claim came to {outcome:?}")
    })
}

fn is_higher(after: Ownership, before: Ownership) -> Kept {
    check(after.token > before.token, || {
        format!("token {} came after fencing token {}", after.token, before.token)
    })
}

async fn each_is_claimed_once<S: Store>(store: &S, ids: impl Iterator<Item = &str> + Clone) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let mut claims = Vec::new();
    for id in ids {
        claims.push((id, acquire(&log, id, LONG_LEASE).await?));
    }
    for (id, held) in &claims {
        check(other.renew(id, *held, LONG_LEASE).await?, || format!("the claim of {id:?} was lost"))?;
        check(other.complete(id, *held).await?, || format!("the claim of {id:?} was lost"))?;
        is_processed(&log, id).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn near_equal_ids_are_different_events<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    each_is_claimed_once(store, ids::NEAR_EQUAL.into_iter()).await
}

pub(in crate::conformance) async fn ids_at_the_limits_are_kept<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    each_is_claimed_once(store, ids::at_the_limits().iter().map(String::as_str)).await
}

pub(in crate::conformance) async fn hostile_ids_are_only_text<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let log = store.open().await;
    for id in ids::HOSTILE {
        let owner = Owner::random()?;
        let outcome = log.claim(event(id)?.with_type(id), owner, LONG_LEASE).await?;
        let ClaimOutcome::Acquired { token } = outcome else {
            return check(false, || format!("{id:?}, which is new, came to {outcome:?}"));
        };
        let held = Ownership { owner, token };
        check(log.release(id, held).await?, || format!("the claim of {id:?} was lost"))?;
        let held = acquire(&log, id, LONG_LEASE).await?;
        check(log.complete(id, held).await?, || format!("the claim of {id:?} was lost"))?;
        is_processed(&log, id).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_live_claim_is_in_progress<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "live", LONG_LEASE).await?;
    check(held.token == 1, || {
        format!("the first claim of an event came under fencing token {}", held.token)
    })?;
    for log in [&log, &other] {
        let outcome = claim(log, "live", Owner::random()?, LONG_LEASE).await?;
        let ClaimOutcome::InProgress { retry_after } = outcome else {
            return check(false, || format!("while it was claimed, another claim came to {outcome:?}"));
        };
        check(!retry_after.is_zero() && retry_after <= LONG_LEASE, || {
            format!("of a lease of {LONG_LEASE:?}, {retry_after:?} were left")
        })?;
    }
    Ok(())
}

pub(in crate::conformance) async fn the_same_owner_again_is_the_same_claim<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "repeated", LONG_LEASE).await?;
    for log in [&log, &other] {
        let outcome = claim(log, "repeated", held.owner, LONG_LEASE).await?;
        check(outcome == (ClaimOutcome::Acquired { token: held.token }), || {
            format!("a claim under fencing token {} was repeated, and came to {outcome:?}", held.token)
        })?;
    }
    is_held(&other, "repeated").await?;
    check(log.complete("repeated", held).await?, || "the repeated claim was lost".into())
}

pub(in crate::conformance) async fn random_steps_follow_the_model<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    random::follow(store, random::CLAIMS, async |log, call| random::claim(log, call).await).await
}
