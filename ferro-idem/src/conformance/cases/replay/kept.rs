//! Cases about what is kept, and for how long.

use std::collections::HashSet;
use std::time::Duration;

use super::{SHORT_KEEP, expires, keeps, odd_replies, replied, reply};
use crate::claim::{ClaimLog, ClaimOutcome};
use crate::conformance::breach::{Kept, check};
use crate::conformance::cases::claims::is_processed;
use crate::conformance::delivering::{LONG_LEASE, SHORT_LEASE, acquire, claim, handles, race, take_over};
use crate::conformance::{Store, ids};
use crate::replay::{KEEP, NewReply, ReplayLog};

pub(in crate::conformance) async fn a_reply_is_kept_with_its_completion<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "charged", LONG_LEASE).await?;
    keeps(&other, "charged", None).await?;
    let kept = log.complete_with_reply("charged", held, reply(b"201 Created")).await?;
    check(kept, || "a live claim was not completed".into())?;
    for log in [&log, &other] {
        keeps(log, "charged", Some(b"201 Created")).await?;
        is_processed(log, "charged").await?;
    }
    keeps(&other, "charged", Some(b"201 Created")).await
}

pub(in crate::conformance) async fn a_reply_comes_back_byte_for_byte<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for (number, odd) in odd_replies().iter().enumerate() {
        let id = &format!("odd_{number}");
        replied(&log, id, odd).await?;
        keeps(&log, id, Some(odd)).await?;
        keeps(&other, id, Some(odd)).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn an_event_without_a_reply_has_none<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let log = store.open().await;
    keeps(&log, "unknown", None).await?;
    let held = acquire(&log, "plain", LONG_LEASE).await?;
    keeps(&log, "plain", None).await?;
    check(log.release("plain", held).await?, || "a live claim was not released".into())?;
    keeps(&log, "plain", None).await?;
    let held = acquire(&log, "plain", LONG_LEASE).await?;
    check(log.complete("plain", held).await?, || "a live claim was not completed".into())?;
    keeps(&log, "plain", None).await
}

/// The ids are those that stores confuse. All replies are kept at once, and then read at once.
pub(in crate::conformance) async fn replies_are_those_of_their_own_events<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let handles = handles(store).await;
    let of = |racer: usize| {
        ids::NEAR_EQUAL.get(racer).map_or_else(|| format!("own_{racer}"), |id| (*id).to_owned())
    };
    race(&handles, |racer, log| {
        let id = of(racer);
        async move { replied(&*log, &id, format!("the reply of {id}").as_bytes()).await.map(drop) }
    })
    .await?;
    race(&handles, |racer, log| {
        let id = of(racer);
        async move { keeps(&*log, &id, Some(format!("the reply of {id}").as_bytes())).await }
    })
    .await
    .map(drop)
}

pub(in crate::conformance) async fn a_late_delivery_keeps_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let late = acquire(&log, "late", SHORT_LEASE).await?;
    let next = take_over(&other, "late", LONG_LEASE).await?;
    let keeps_nothing = async || {
        let kept = log.complete_with_reply("late", late, reply(b"late")).await?;
        check(!kept, || "a delivery that lost its lease completed the event with its reply".into())
    };
    keeps_nothing().await?;
    keeps(&other, "late", None).await?;
    let kept = other.complete_with_reply("late", next, reply(b"next")).await?;
    check(kept, || "the late delivery took the claim from the next one".into())?;
    keeps_nothing().await?;
    keeps(&log, "late", Some(b"next")).await
}

pub(in crate::conformance) async fn a_released_claim_keeps_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let log = store.open().await;
    let held = acquire(&log, "given up", LONG_LEASE).await?;
    check(log.release("given up", held).await?, || "a live claim was not released".into())?;
    let kept = log.complete_with_reply("given up", held, reply(b"given up")).await?;
    check(!kept, || "a released claim was completed with its reply".into())?;
    keeps(&log, "given up", None).await?;
    let next = acquire(&log, "given up", LONG_LEASE).await?;
    check(log.complete("given up", next).await?, || "the next claim was not completed".into())?;
    keeps(&log, "given up", None).await
}

pub(in crate::conformance) async fn to_complete_again_is_no_failure<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = replied(&log, "twice", b"first").await?;
    for (log, stored) in [(&log, "first"), (&other, "second")] {
        let again = log.complete_with_reply("twice", held, reply(stored.as_bytes())).await?;
        check(again, || "the second completion was false".into())?;
    }
    let kept = other.kept_reply("twice").await?;
    check(matches!(kept.as_deref(), Some(b"first" | b"second")), || {
        format!("after two completions the reply is {kept:?}")
    })?;
    is_processed(&other, "twice").await
}

pub(in crate::conformance) async fn of_completions_at_once_one_reply_is_kept<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let handles = handles(store).await;
    let Some(log) = handles.first() else { return Ok(()) };
    let held = acquire(&**log, "raced", LONG_LEASE).await?;
    let stored = |racer: usize| vec![u8::try_from(racer).unwrap_or_default(); 5_000];
    let completed = race(&handles, |racer, log| async move {
        Ok(log.complete_with_reply("raced", held, reply(&stored(racer))).await?)
    })
    .await?;
    check(completed.iter().all(|is_completed| *is_completed), || {
        "a repeated completion of the same claim was false".into()
    })?;
    let kept: HashSet<_> = race(&handles, |_, log| async move { Ok(log.kept_reply("raced").await?) })
        .await?
        .into_iter()
        .collect();
    let is_whole = |kept: &Option<Vec<u8>>| {
        kept.as_ref()
            .is_some_and(|kept| kept.len() == 5_000 && kept.iter().all(|byte| Some(byte) == kept.first()))
    };
    check(kept.len() == 1 && kept.iter().all(is_whole), || {
        format!("{} different replies are read, or one is mixed from several", kept.len())
    })
}

pub(in crate::conformance) async fn a_reply_expires_and_its_event_stays_processed<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    replied(&log, "kept for long", b"long").await?;
    for (id, keep) in [("kept for short", SHORT_KEEP), ("kept for no time", Duration::ZERO)] {
        let held = acquire(&log, id, LONG_LEASE).await?;
        let kept = log.complete_with_reply(id, held, NewReply { stored: b"short", keep }).await?;
        check(kept, || "a live claim was not completed".into())?;
        expires(&other, id).await?;
        keeps(&log, id, None).await?;
        is_processed(&log, id).await?;
        let again = other.complete_with_reply(id, held, NewReply { stored: b"again", keep: KEEP }).await?;
        check(again, || "the second completion was false".into())?;
    }
    // Longer than any store counts.
    let held = acquire(&log, "kept for ever", LONG_LEASE).await?;
    let for_ever = NewReply { stored: b"ever", keep: Duration::MAX };
    check(log.complete_with_reply("kept for ever", held, for_ever).await?, || {
        "a live claim was not completed".into()
    })?;
    keeps(&other, "kept for ever", Some(b"ever")).await?;
    keeps(&other, "kept for long", Some(b"long")).await
}

pub(in crate::conformance) async fn every_handle_has_the_reply<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let log = store.open().await;
    let handle = log.replay_handle();
    let held = acquire(&log, "handed on", LONG_LEASE).await?;
    check(handle.complete_with_reply("handed on", held, reply(b"handed on")).await?, || {
        "the handle did not know the claim".into()
    })?;
    keeps(&log, "handed on", Some(b"handed on")).await?;
    for handle in handles(store).await {
        keeps(&handle, "handed on", Some(b"handed on")).await?;
    }
    let kept = handle.kept_reply("handed on").await?;
    check(kept.is_some(), || "the handle did not know the reply".into())
}

pub(in crate::conformance) async fn other_guarantees_see_a_processed_event<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + ReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = replied(&log, "processed", b"once").await?;
    check(!other.renew("processed", held, LONG_LEASE).await?, || "a processed event was renewed".into())?;
    check(!other.release("processed", held).await?, || "a processed event was released".into())?;
    check(!other.withdraw("processed", held).await?, || "a processed event was withdrawn".into())?;
    for log in [&log, &other] {
        is_processed(log, "processed").await?;
        let outcome = claim(log, "processed", held.owner, LONG_LEASE).await?;
        check(outcome == ClaimOutcome::Processed, || {
            format!("the owner that completed it claimed it again, and that came to {outcome:?}")
        })?;
    }
    keeps(&other, "processed", Some(b"once")).await
}
