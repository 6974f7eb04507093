//! Cases about hang-ups, purges and restarts during a claim.

use std::time::Duration;

use super::{is_held, is_higher, is_processed};
use crate::claim::{ClaimLog, ClaimOutcome};
use crate::conformance::Store;
use crate::conformance::breach::{Breach, Kept, check, not_promised};
use crate::conformance::delivering::{LONG_LEASE, Patience, acquire, claim};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::owner::Owner;

pub(in crate::conformance) async fn a_handle_is_the_same_store<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let log = store.open().await;
    let handle = log.handle();
    let held = acquire(&log, "handed on", LONG_LEASE).await?;
    is_held(&handle, "handed on").await?;
    check(handle.renew("handed on", held, LONG_LEASE).await?, || "the handle did not know the claim".into())?;
    check(handle.complete("handed on", held).await?, || "the handle did not know the claim".into())?;
    is_processed(&log, "handed on").await
}

/// Each call is dropped before it is answered and then repeated, as after a lost reply.
pub(in crate::conformance) async fn a_call_dropped_at_any_await_harms_nobody<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for polls in 0..MAX_POLLS {
        let id = &format!("claimed_{polls}");
        let owner = Owner::random()?;
        let dropped = drop_after_polls(claim(&log, id, owner, LONG_LEASE), polls).await.transpose()?;
        let token = match claim(&other, id, owner, LONG_LEASE).await? {
            ClaimOutcome::Acquired { token } => token,
            outcome => {
                return Err(Breach(format!(
                    "a claim was dropped after {polls} polls; repeated, it came to {outcome:?}"
                )));
            }
        };
        if let Some(dropped) = dropped {
            check(dropped == (ClaimOutcome::Acquired { token }), || {
                format!("a claim came to {dropped:?}, and repeated to token {token}")
            })?;
        }
        is_held(&log, id).await?;

        // Uses an event of its own, because the dropped call may still arrive and claim the event again.
        let id = &format!("settled_{polls}");
        let held = acquire(&log, id, LONG_LEASE).await?;
        let repeated =
            |what: &str| format!("a {what} was dropped after {polls} polls; repeated, it was false");
        drop_after_polls(log.renew(id, held, LONG_LEASE), polls).await.transpose()?;
        check(other.renew(id, held, LONG_LEASE).await?, || repeated("renewal"))?;
        drop_after_polls(log.release(id, held), polls).await.transpose()?;
        check(other.release(id, held).await?, || repeated("release"))?;
        let next = acquire(&log, id, LONG_LEASE).await?;
        is_higher(next, held)?;
        drop_after_polls(log.complete(id, next), polls).await.transpose()?;
        check(other.complete(id, next).await?, || repeated("complete"))?;
        is_processed(&log, id).await?;
        acquire(&other, &format!("apart_{polls}"), LONG_LEASE).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_purge_spares_live_claims<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let log = store.open().await;
    let live = acquire(&log, "live at the purge", LONG_LEASE).await?;
    let done = acquire(&log, "done at the purge", LONG_LEASE).await?;
    check(log.complete("done at the purge", done).await?, || "a live claim was not completed".into())?;
    // Both rows have the same age on the store's clock. If the purge deletes the processed row, the live
    // claim is old enough to be deleted as well.
    let patience = Patience::for_the("purge of a processed event");
    loop {
        match store.purge(&log, Duration::ZERO).await {
            None => return not_promised("a purge"),
            Some(0) => patience.wait().await?,
            Some(_) => break,
        }
    }
    is_held(&log, "live at the purge").await?;
    check(log.renew("live at the purge", live, LONG_LEASE).await?, || "the purge took a live claim".into())?;
    check(log.complete("live at the purge", live).await?, || "the purge took a live claim".into())
}

pub(in crate::conformance) async fn claims_survive_a_restart<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog,
{
    let log = store.open().await;
    let live = acquire(&log, "live at the restart", LONG_LEASE).await?;
    let done = acquire(&log, "done at the restart", LONG_LEASE).await?;
    check(log.complete("done at the restart", done).await?, || "a live claim was not completed".into())?;
    let released = acquire(&log, "released at the restart", LONG_LEASE).await?;
    check(log.release("released at the restart", released).await?, || {
        "a live claim was not released".into()
    })?;
    drop(log);
    if !store.restart().await {
        return not_promised("to survive a restart");
    }
    let log = store.open().await;
    is_processed(&log, "done at the restart").await?;
    is_held(&log, "live at the restart").await?;
    check(log.complete("live at the restart", live).await?, || {
        "after the restart a live claim was lost".into()
    })?;
    is_higher(acquire(&log, "released at the restart", LONG_LEASE).await?, released)
}
