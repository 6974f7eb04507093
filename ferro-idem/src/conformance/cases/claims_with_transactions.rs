//! Cases about one event under claims and in a transaction.

use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{LONG_LEASE, SHORT_LEASE, acquire, claim, mark_in, transact};
use crate::conformance::random::{self, Call};
use crate::owner::Owner;
use crate::transaction::{MarkOutcome, TransactionalLog};

pub(in crate::conformance) async fn a_live_claim_is_in_progress_for_a_transaction<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "claimed", LONG_LEASE).await?;
    let (transaction, outcome) = mark_in(&other, "claimed").await?;
    S::Log::rollback(transaction).await?;
    check(matches!(outcome, MarkOutcome::InProgress { retry_after } if retry_after <= LONG_LEASE), || {
        format!("the mark of a claimed event in a transaction came to {outcome:?}")
    })?;
    check(log.complete("claimed", held).await?, || "the transaction took the claim away".into())
}

/// Checks that the old claim can neither complete nor release nor renew.
async fn nothing_to_settle<L: ClaimLog>(log: &L, id: &str, held: Ownership) -> Kept {
    let settled = log.complete(id, held).await?
        || log.release(id, held).await?
        || log.renew(id, held, LONG_LEASE).await?;
    check(!settled, || "the claim that the transaction took over could still be settled".into())
}

pub(in crate::conformance) async fn a_released_event_is_taken_over_by_a_transaction<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "released", LONG_LEASE).await?;
    check(log.release("released", held).await?, || "a live claim was not released".into())?;
    let outcome = transact(&other, "released", true).await?;
    check(outcome == MarkOutcome::First, || format!("the released event came to {outcome:?}"))?;
    nothing_to_settle(&log, "released", held).await
}

pub(in crate::conformance) async fn a_lease_that_ran_out_is_taken_over_by_a_transaction<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "ran out", SHORT_LEASE).await?;
    let outcome = transact(&other, "ran out", true).await?;
    check(outcome == MarkOutcome::First, || format!("the event whose lease ran out came to {outcome:?}"))?;
    nothing_to_settle(&log, "ran out", held).await
}

pub(in crate::conformance) async fn a_rollback_leaves_a_released_event_to_the_next_claim<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "given back", LONG_LEASE).await?;
    check(log.release("given back", held).await?, || "a live claim was not released".into())?;
    let outcome = transact(&other, "given back", false).await?;
    check(outcome == MarkOutcome::First, || format!("the released event came to {outcome:?}"))?;
    let next = acquire(&log, "given back", LONG_LEASE).await?;
    check(next.token > held.token, || format!("token {} came after fencing token {}", next.token, held.token))
}

pub(in crate::conformance) async fn a_commit_is_processed_for_a_claim<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let outcome = transact(&log, "committed", true).await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    let outcome = claim(&other, "committed", Owner::random()?, LONG_LEASE).await?;
    check(outcome == ClaimOutcome::Processed, || {
        format!("the claim of a committed event came to {outcome:?}")
    })
}

pub(in crate::conformance) async fn a_completed_event_is_processed_for_a_transaction<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let held = acquire(&log, "completed", LONG_LEASE).await?;
    check(log.complete("completed", held).await?, || "a live claim was not completed".into())?;
    let outcome = transact(&other, "completed", true).await?;
    check(outcome == MarkOutcome::Processed, || {
        format!("the mark of a completed event in a transaction came to {outcome:?}")
    })
}

pub(in crate::conformance) async fn random_steps_follow_the_model<S: Store>(store: &S) -> Kept
where
    S::Log: ClaimLog + TransactionalLog,
{
    random::follow(store, random::CLAIMS | random::TRANSACTIONS, async |log, call| match call {
        Call::Transact { .. } => random::transact(log, call).await,
        _ => random::claim(log, call).await,
    })
    .await
}
