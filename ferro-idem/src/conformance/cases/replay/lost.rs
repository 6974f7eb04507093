//! Cases about hang-ups, purges, changes by hand and restarts.

use std::time::Duration;

use super::{keeps, replied, reply};
use crate::claim::{ClaimLog, ClaimOutcome};
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check, not_promised};
use crate::conformance::cases::claims::is_processed;
use crate::conformance::delivering::{LONG_LEASE, Patience, acquire, claim};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::owner::Owner;
use crate::replay::ReplayLog;

/// Each completion is dropped before it is answered. Another handle looks, and then repeats it, as after a lost reply.
pub(in crate::conformance) async fn a_completion_dropped_at_any_await_keeps_both_or_nothing<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for polls in 0..MAX_POLLS {
        let id = &format!("dropped_{polls}");
        let stored = format!("the reply of {id}");
        let held = acquire(&log, id, LONG_LEASE).await?;
        let complete = log.complete_with_reply(id, held, reply(stored.as_bytes()));
        let completed = drop_after_polls(complete, polls).await.transpose()?;
        // What is on its way may arrive between the two looks, and only in this order.
        let outcome = claim(&other, id, Owner::random()?, LONG_LEASE).await?;
        let kept = other.kept_reply(id).await?;
        check(outcome != ClaimOutcome::Processed || kept.is_some(), || {
            format!("a completion was dropped after {polls} polls: the event is processed without its reply")
        })?;
        if kept.is_some() {
            is_processed(&other, id).await?;
        }
        check(completed != Some(true) || kept.is_some(), || {
            format!("a completion was a success after {polls} polls, and its reply is not there")
        })?;
        let again = other.complete_with_reply(id, held, reply(stored.as_bytes())).await?;
        check(again, || format!("a completion was dropped after {polls} polls; repeated, it was false"))?;
        keeps(&log, id, Some(stored.as_bytes())).await?;
        is_processed(&log, id).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_read_dropped_at_any_await_harms_nobody<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let log = store.open().await;
    replied(&log, "read", b"read").await?;
    for polls in 0..MAX_POLLS {
        if let Some(kept) = drop_after_polls(log.kept_reply("read"), polls).await {
            let kept = kept?;
            check(kept.as_deref() == Some(b"read"), || format!("the reply is {kept:?}"))?;
        }
        keeps(&log, "read", Some(b"read")).await?;
    }
    Ok(())
}

/// Claims the event again, and completes it without a reply.
async fn shows_no_old_reply<L: ClaimLog + ReplayLog>(log: &L, other: &L, id: &str) -> Kept {
    keeps(other, id, None).await?;
    let held = acquire(log, id, LONG_LEASE).await?;
    keeps(other, id, None).await?;
    check(log.complete(id, held).await?, || "a live claim was not completed".into())?;
    keeps(other, id, None).await
}

pub(in crate::conformance) async fn a_purged_event_has_no_reply<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    replied(&log, "purged", b"purged").await?;
    let patience = Patience::for_the("purge of a processed event");
    loop {
        match store.purge(&log, Duration::ZERO).await {
            None => return not_promised("a purge"),
            Some(0) => patience.wait().await?,
            Some(_) => break,
        }
    }
    shows_no_old_reply(&log, &other, "purged").await
}

pub(in crate::conformance) async fn a_forgotten_event_has_no_reply<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    replied(&log, "forgotten", b"forgotten").await?;
    replied(&log, "beside it", b"beside it").await?;
    if !store.forget(&log, "forgotten").await {
        return not_promised("to forget an event by hand");
    }
    shows_no_old_reply(&log, &other, "forgotten").await?;
    keeps(&other, "beside it", Some(b"beside it")).await
}

pub(in crate::conformance) async fn replies_survive_a_restart<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let log = store.open().await;
    let held = replied(&log, "before the restart", b"before").await?;
    drop(log);
    if !store.restart().await {
        return not_promised("to survive a restart");
    }
    let log = store.open().await;
    keeps(&log, "before the restart", Some(b"before")).await?;
    is_processed(&log, "before the restart").await?;
    check(log.complete_with_reply("before the restart", held, reply(b"before")).await?, || {
        "after the restart the completion was not known".into()
    })
}
