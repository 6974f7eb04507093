//! Cases about replies that are committed with the effects.

use super::claims::is_processed;
use super::replay::{SHORT_KEEP, expires, keeps, odd_replies, reply};
use crate::claim::ClaimLog;
use crate::conformance::Store;
use crate::conformance::breach::{Breach, Kept, check, not_promised};
use crate::conformance::delivering::{LONG_LEASE, Patience, acquire, mark_in, transact};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::replay::{NewReply, ReplayLog, TransactionalReplayLog};
use crate::transaction::{MarkOutcome, TransactionalLog};

/// Opens a transaction for an event that is not committed, as soon as no other transaction has it.
async fn open_first<L: TransactionalReplayLog>(log: &L, id: &str) -> Kept<L::Transaction> {
    let patience = Patience::for_the("end of the other transaction");
    loop {
        let (transaction, outcome) = mark_in(log, id).await?;
        match outcome {
            MarkOutcome::First => return Ok(transaction),
            MarkOutcome::InProgress { .. } => L::rollback(transaction).await?,
            MarkOutcome::Processed => {
                return Err(Breach(format!("nobody committed {id:?}, and it is processed")));
            }
        }
        patience.wait().await?;
    }
}

/// Marks, replies and commits.
async fn replied<L: TransactionalReplayLog>(log: &L, id: &str, reply: NewReply<'_>) -> Kept {
    let mut transaction = open_first(log, id).await?;
    log.keep_in(&mut transaction, id, reply).await?;
    Ok(L::commit(transaction).await?)
}

pub(in crate::conformance) async fn a_reply_is_committed_with_its_event<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let mut transaction = open_first(&log, "charged").await?;
    store.write_effect(&mut transaction, "charged").await;
    log.keep_in(&mut transaction, "charged", reply(b"201 Created")).await?;
    keeps(&other, "charged", None).await?;
    S::Log::commit(transaction).await?;
    for log in [&log, &other] {
        keeps(log, "charged", Some(b"201 Created")).await?;
        let outcome = transact(log, "charged", true).await?;
        check(outcome == MarkOutcome::Processed, || format!("a committed event came to {outcome:?}"))?;
    }
    let effects = store.effects(&other, "charged").await;
    check(effects.is_none_or(|effects| effects == 1), || format!("there are {effects:?} effects"))?;
    keeps(&other, "charged", Some(b"201 Created")).await
}

pub(in crate::conformance) async fn a_reply_comes_back_byte_for_byte<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for (number, odd) in odd_replies().iter().enumerate() {
        let id = &format!("odd_{number}");
        replied(&log, id, reply(odd)).await?;
        keeps(&log, id, Some(odd)).await?;
        keeps(&other, id, Some(odd)).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_reply_that_was_rolled_back_does_not_exist<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for is_dropped in [false, true] {
        let mut transaction = open_first(&log, "undone").await?;
        store.write_effect(&mut transaction, "undone").await;
        log.keep_in(&mut transaction, "undone", reply(b"undone")).await?;
        if is_dropped {
            drop(transaction);
        } else {
            S::Log::rollback(transaction).await?;
        }
        keeps(&other, "undone", None).await?;
    }
    // The next delivery runs, and replies by itself or not at all.
    S::Log::commit(open_first(&other, "undone").await?).await?;
    keeps(&log, "undone", None).await?;
    let effects = store.effects(&other, "undone").await;
    check(effects.is_none_or(|effects| effects == 0), || format!("there are {effects:?} effects"))
}

pub(in crate::conformance) async fn a_reply_without_its_mark_is_an_error<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for is_kept_before in [false, true] {
        let mut transaction = open_first(&log, "undone from within").await?;
        store.write_effect(&mut transaction, "undone from within").await;
        if is_kept_before {
            log.keep_in(&mut transaction, "undone from within", reply(b"lost")).await?;
        }
        if !store.roll_back_from_within(&mut transaction).await {
            S::Log::rollback(transaction).await?;
            return not_promised("anything of a store that rolls back by itself");
        }
        let kept = if is_kept_before {
            Ok(())
        } else {
            log.keep_in(&mut transaction, "undone from within", reply(b"lost")).await
        };
        check(kept.is_err() || is_kept_before, || {
            "the transaction had been rolled back, and its reply was kept".into()
        })?;
        check(S::Log::commit(transaction).await.is_err(), || {
            "the transaction had been rolled back, and its commit was a success".into()
        })?;
        keeps(&other, "undone from within", None).await?;
    }
    replied(&other, "undone from within", reply(b"next")).await?;
    keeps(&log, "undone from within", Some(b"next")).await?;
    let effects = store.effects(&log, "undone from within").await;
    check(effects.is_none_or(|effects| effects == 0), || format!("there are {effects:?} effects"))
}

pub(in crate::conformance) async fn a_reply_of_another_event_is_an_error<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    replied(&log, "before", reply(b"before")).await?;
    for another in ["before", "never seen"] {
        let mut transaction = open_first(&log, "own").await?;
        let kept = log.keep_in(&mut transaction, another, reply(b"of another")).await;
        check(kept.is_err(), || format!("the transaction of \"own\" kept a reply of {another:?}"))?;
        drop(S::Log::rollback(transaction).await);
    }
    keeps(&other, "before", Some(b"before")).await?;
    keeps(&other, "never seen", None).await?;
    keeps(&other, "own", None).await
}

pub(in crate::conformance) async fn a_reply_expires_and_its_event_stays_processed<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    replied(&log, "kept for short", NewReply { stored: b"short", keep: SHORT_KEEP }).await?;
    expires(&other, "kept for short").await?;
    is_processed(&other, "kept for short").await?;
    let outcome = transact(&log, "kept for short", true).await?;
    check(outcome == MarkOutcome::Processed, || format!("a committed event came to {outcome:?}"))
}

pub(in crate::conformance) async fn a_takeover_keeps_its_own_reply<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "taken over", LONG_LEASE).await?;
    check(log.release("taken over", held).await?, || "a live claim was not released".into())?;
    replied(&other, "taken over", reply(b"of the transaction")).await?;
    let kept = log.complete_with_reply("taken over", held, reply(b"of the old claim")).await?;
    check(!kept, || "the claim that the transaction took over was completed with its reply".into())?;
    keeps(&log, "taken over", Some(b"of the transaction")).await
}

pub(in crate::conformance) async fn a_delivery_dropped_at_any_await_keeps_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalReplayLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for polls in 0..MAX_POLLS {
        let id = &format!("dropped_{polls}");
        let mut transaction = open_first(&log, id).await?;
        drop(drop_after_polls(log.keep_in(&mut transaction, id, reply(b"dropped")), polls).await);
        drop(transaction);
        keeps(&other, id, None).await?;
        replied(&other, id, reply(b"next")).await?;
        keeps(&log, id, Some(b"next")).await?;
    }
    Ok(())
}
