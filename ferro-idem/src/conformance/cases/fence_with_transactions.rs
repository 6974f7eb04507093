//! Cases about one event under a plain fence and in a transaction.

use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::transact;
use crate::log::ProcessedEventLog;
use crate::transaction::{MarkOutcome, TransactionalLog};

pub(in crate::conformance) async fn a_mark_is_processed_for_a_transaction<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    check(log.try_mark_processed("marked").await?, || "a new event was not first".into())?;
    let outcome = transact(&other, "marked", true).await?;
    check(outcome == MarkOutcome::Processed, || {
        format!("the mark of a marked event in a transaction came to {outcome:?}")
    })
}

pub(in crate::conformance) async fn a_commit_is_seen_by_a_fence<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let outcome = transact(&log, "committed", true).await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    check(!other.try_mark_processed("committed").await?, || "the committed event was first again".into())
}

pub(in crate::conformance) async fn a_rollback_leaves_the_event_to_a_fence<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog + TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let outcome = transact(&log, "rolled back", false).await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    check(other.try_mark_processed("rolled back").await?, || "the event was seen, and never ran".into())
}
