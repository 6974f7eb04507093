//! Cases about transactions: exactly once, together with the effects.

use std::sync::Arc;
use std::time::Duration;

use crate::conformance::breach::{Breach, Kept, check, not_promised};
use crate::conformance::delivering::{
    PATIENCE, Patience, ROUNDS, event, handles, mark_in, race, transact, try_mark_in,
};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::conformance::random::Ending;
use crate::conformance::{Store, ids, random};
use crate::entry::Entry;
use crate::error::Error;
use crate::nesting::Site;
use crate::reply::failure::untold;
use crate::transaction::{MarkOutcome, TransactionalLog, begin, settle_transaction};

pub(in crate::conformance) async fn of_many_racers_one_is_first<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let handles = handles(store).await;
    for round in 0..ROUNDS {
        let id = format!("raced_{round}");
        let outcomes = race(&handles, |_, log| {
            let id = id.clone();
            async move { transact(&*log, &id, true).await }
        });
        let outcomes = outcomes.await?;
        let firsts = outcomes.iter().filter(|outcome| **outcome == MarkOutcome::First).count();
        check(firsts == 1, || {
            format!("of {} deliveries of {id:?} at once, {firsts} committed", outcomes.len())
        })?;
    }
    Ok(())
}

/// Checks that the next delivery of `id` runs and commits.
async fn is_first<L: TransactionalLog>(log: &L, id: &str, what: &str) -> Kept {
    let outcome = transact(log, id, true).await?;
    check(outcome == MarkOutcome::First, || format!("{id:?}, {what}, came to {outcome:?}"))
}

/// Checks that the next delivery of `id` is a duplicate.
async fn is_processed<L: TransactionalLog>(log: &L, id: &str) -> Kept {
    let outcome = transact(log, id, true).await?;
    check(outcome == MarkOutcome::Processed, || format!("{id:?} was committed, and came to {outcome:?}"))
}

async fn each_is_first_once<S: Store>(store: &S, ids: impl Iterator<Item = &str> + Clone) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for id in ids.clone() {
        is_first(&log, id, "which is new").await?;
    }
    for id in ids {
        is_processed(&other, id).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn near_equal_ids_are_different_events<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    each_is_first_once(store, ids::NEAR_EQUAL.into_iter()).await
}

pub(in crate::conformance) async fn ids_at_the_limits_are_kept<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    each_is_first_once(store, ids::at_the_limits().iter().map(String::as_str)).await
}

pub(in crate::conformance) async fn hostile_ids_are_only_text<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let log = store.open().await;
    for id in ids::HOSTILE {
        let (transaction, outcome) = try_mark_in(&log, event(id)?.with_type(id)).await?;
        check(outcome == MarkOutcome::First, || format!("{id:?}, which is new, came to {outcome:?}"))?;
        S::Log::commit(transaction).await?;
        is_processed(&log, id).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_commit_keeps_the_event<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    is_first(&log, "committed", "which is new").await?;
    is_processed(&log, "committed").await?;
    is_processed(&other, "committed").await
}

pub(in crate::conformance) async fn a_rollback_frees_the_event<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let outcome = transact(&log, "rolled back", false).await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    is_first(&other, "rolled back", "which was rolled back").await
}

pub(in crate::conformance) async fn a_dropped_transaction_frees_the_event<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let (transaction, outcome) = mark_in(&log, "dropped").await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    drop(transaction);
    is_first(&other, "dropped", "whose transaction was dropped").await
}

/// Opens a transaction for an event that is not committed, as soon as no other transaction has it.
async fn open_first<L: TransactionalLog>(log: &L, id: &str) -> Kept<L::Transaction> {
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

/// One delivery is rolled back, one is dropped, and the last one leaves its effect.
pub(in crate::conformance) async fn effects_are_there_where_the_event_was_committed<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    if store.effects(&log, "effective").await.is_none() {
        return not_promised("effects, as the kit is not told how to write them");
    }
    for ending in [Ending::Rollback, Ending::Drop, Ending::Commit] {
        let mut transaction = open_first(&log, "effective").await?;
        store.write_effect(&mut transaction, "effective").await;
        match ending {
            Ending::Rollback => S::Log::rollback(transaction).await?,
            Ending::Drop => drop(transaction),
            Ending::Commit => S::Log::commit(transaction).await?,
        }
    }
    let effects = store.effects(&other, "effective").await.unwrap_or_default();
    check(effects == 1, || {
        format!("one delivery was rolled back, one dropped and one committed: {effects} effects are there")
    })?;
    is_processed(&other, "effective").await
}

pub(in crate::conformance) async fn a_commit_without_its_mark_is_an_error<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let mut transaction = open_first(&log, "undone from within").await?;
    if !store.roll_back_from_within(&mut transaction).await {
        S::Log::rollback(transaction).await?;
        return not_promised("anything of a store that rolls back by itself");
    }
    check(S::Log::commit(transaction).await.is_err(), || {
        "the transaction had been rolled back, and its commit was a success".into()
    })?;
    is_first(&other, "undone from within", "whose transaction the store had rolled back").await
}

pub(in crate::conformance) async fn a_second_delivery_meanwhile_is_in_progress<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    let (open, outcome) = mark_in(&log, "meanwhile").await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    for (whose, log) in [("the same", &log), ("an independent", &other)] {
        let second = tokio::time::timeout(PATIENCE, try_mark_in(log, event("meanwhile")?)).await;
        let seen = match second {
            Ok(Ok((transaction, outcome))) => {
                S::Log::rollback(transaction).await?;
                if matches!(outcome, MarkOutcome::InProgress { .. }) {
                    continue;
                }
                format!("{outcome:?}")
            }
            Ok(Err(error)) => format!("an error ({})", Breach::from(error).0),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        return Err(Breach(format!("over {whose} handle the second delivery came to {seen}")));
    }
    S::Log::commit(open).await?;
    is_processed(&other, "meanwhile").await
}

/// After this time without an answer, a delivery is assumed to wait for the open transaction.
const ONLY_WRITER: Duration = Duration::from_secs(1);

/// A store with a single writer makes the other event wait, but does not refuse it.
pub(in crate::conformance) async fn another_event_is_not_disturbed<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, Arc::new(store.open().await));
    let (open, outcome) = mark_in(&log, "open").await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    let beside = Arc::clone(&other);
    let mut beside = tokio::spawn(async move {
        let (transaction, outcome) = mark_in(&*beside, "beside").await?;
        if outcome == MarkOutcome::First {
            S::Log::commit(transaction).await?;
        }
        Kept::Ok(outcome)
    });
    // The other event is answered while this transaction is open, unless it waits for the only writer.
    let meanwhile = tokio::time::timeout(ONLY_WRITER, &mut beside).await;
    S::Log::commit(open).await?;
    let answered = match meanwhile {
        Ok(answered) => answered,
        Err(_) => beside.await,
    };
    let outcome = answered.map_err(|panic| Breach(format!("a delivery did not end: {panic}")))??;
    check(outcome == MarkOutcome::First, || {
        format!("beside an open transaction, another event came to {outcome:?}")
    })?;
    is_processed(&*other, "open").await?;
    is_processed(&log, "beside").await
}

/// The calls of `#[idempotent_webhook(transaction(tx))]` around a body that does nothing.
async fn deliver<L: TransactionalLog>(log: &L, id: &str) -> Kept<MarkOutcome> {
    match begin(log, Ok(event(id)?), &Site { name: "a case of the kit", line: 0 }).await {
        Entry::Run(open) => {
            settle_transaction(open, (), |()| true, untold).await?;
            Ok(MarkOutcome::First)
        }
        Entry::Duplicate => Ok(MarkOutcome::Processed),
        Entry::Failed(Error::InProgress { retry_after, .. }) => Ok(MarkOutcome::InProgress { retry_after }),
        Entry::Failed(error) => Err(error.into()),
    }
}

pub(in crate::conformance) async fn a_delivery_dropped_at_any_await_harms_nobody<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for polls in 0..MAX_POLLS {
        let id = format!("dropped_{polls}");
        let finished = drop_after_polls(deliver(&log, &id), polls).await.transpose()?;
        let next = transact(&other, &id, true).await?;
        if let Some(outcome) = finished {
            check(outcome == MarkOutcome::First && next == MarkOutcome::Processed, || {
                format!("a delivery that was finished came to {outcome:?}, and the next one to {next:?}")
            })?;
        }
        is_processed(&log, &id).await?;
        for (name, log) in [("beside", &log), ("apart", &other)] {
            is_first(log, &format!("{name}_{polls}"), "beside a delivery that was dropped").await?;
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn commits_survive_a_restart<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    let log = store.open().await;
    is_first(&log, "kept", "which is new").await?;
    let (open, outcome) = mark_in(&log, "undone").await?;
    check(outcome == MarkOutcome::First, || format!("a new event came to {outcome:?}"))?;
    drop((open, log));
    if !store.restart().await {
        return not_promised("to survive a restart");
    }
    let log = store.open().await;
    is_processed(&log, "kept").await?;
    is_first(&log, "undone", "which was not committed before the restart").await
}

pub(in crate::conformance) async fn random_steps_follow_the_model<S: Store>(store: &S) -> Kept
where
    S::Log: TransactionalLog,
{
    random::follow(store, random::TRANSACTIONS, async |log, call| random::transact(log, call).await).await
}
