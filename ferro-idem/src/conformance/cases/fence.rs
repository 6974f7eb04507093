//! Cases about the fence: at most once.

use crate::conformance::Store;
use crate::conformance::breach::{Kept, check, not_promised};
use crate::conformance::delivering::{RACERS, ROUNDS, event, handles, race};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::conformance::{ids, random};
use crate::error::Error;
use crate::log::ProcessedEventLog;

pub(in crate::conformance) async fn of_many_racers_one_is_first<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let handles = handles(store).await;
    for round in 0..ROUNDS {
        let id = format!("raced_{round}");
        let verdicts = race(&handles, |_, log| {
            let id = id.clone();
            async move { Ok(log.try_mark_processed(&id).await?) }
        });
        let firsts = verdicts.await?.into_iter().filter(|first| *first).count();
        check(firsts == 1, || format!("of {RACERS} deliveries of {id:?} at once, {firsts} were first"))?;
    }
    Ok(())
}

/// Marks all events, and then all of them again.
async fn each_is_first_once<S: Store>(store: &S, ids: impl Iterator<Item = &str> + Clone) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for id in ids.clone() {
        let first = log.try_mark_processed(id).await?;
        check(first, || format!("{id:?} was taken for another event"))?;
    }
    for id in ids {
        check(!other.try_mark_processed(id).await?, || format!("{id:?} was marked, and was first again"))?;
    }
    Ok(())
}

pub(in crate::conformance) async fn near_equal_ids_are_different_events<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    each_is_first_once(store, ids::NEAR_EQUAL.into_iter()).await
}

pub(in crate::conformance) async fn ids_at_the_limits_are_kept<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    each_is_first_once(store, ids::at_the_limits().iter().map(String::as_str)).await
}

pub(in crate::conformance) async fn bad_ids_are_refused<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let log = store.open().await;
    for id in ids::refused() {
        let refused = log.try_mark_processed(&id).await;
        check(matches!(refused, Err(Error::InvalidEventId { .. })), || {
            format!("an id of {} bytes that no log may take came to {refused:?}: {id:?}", id.len())
        })?;
    }
    Ok(())
}

pub(in crate::conformance) async fn hostile_ids_are_only_text<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let log = store.open().await;
    for id in ids::HOSTILE {
        let hostile = event(id)?.with_type(id);
        check(log.try_mark_event(hostile).await?, || format!("{id:?} was taken for another event"))?;
        check(!log.try_mark_event(hostile).await?, || format!("{id:?} was marked, and was first again"))?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_type_makes_no_other_event<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let log = store.open().await;
    let typed = event("typed")?.with_type("invoice.paid");
    let bare = event("bare")?;
    check(log.try_mark_event(typed).await?, || "an event with a type was not first".into())?;
    check(log.try_mark_processed("bare").await?, || "a bare id was not first".into())?;
    let again = [
        ("a bare id", log.try_mark_processed("typed").await?),
        ("another type", log.try_mark_event(typed.with_type("invoice.voided")).await?),
        ("a type", log.try_mark_event(bare.with_type("invoice.paid")).await?),
        ("no type", log.try_mark_event(bare).await?),
    ];
    for (how, first) in again {
        check(!first, || format!("a marked event was first again when it came with {how}"))?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_mark_dropped_at_any_await_harms_nobody<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let (log, other) = (store.open().await, store.open().await);
    for polls in 0..MAX_POLLS {
        let id = format!("dropped_{polls}");
        let finished = drop_after_polls(log.try_mark_processed(&id), polls).await.transpose()?;
        let mut later = Vec::new();
        for log in [&other, &log, &other] {
            later.push(log.try_mark_processed(&id).await?);
        }
        let firsts = later.iter().filter(|first| **first).count();
        match finished {
            Some(first) => check(first && firsts == 0, || {
                format!("a mark was finished and said first: {first}; those after it said first: {later:?}")
            })?,
            None => check(firsts <= 1, || {
                format!("a mark was dropped after {polls} polls; those after it said first: {later:?}")
            })?,
        }
        for (name, log) in [("beside", &log), ("apart", &other)] {
            let id = format!("{name}_{polls}");
            check(log.try_mark_processed(&id).await?, || {
                format!("a mark was dropped after {polls} polls, and another event was not first then")
            })?;
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn marks_survive_a_restart<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    let log = store.open().await;
    check(log.try_mark_processed("kept").await?, || "a new event was not first".into())?;
    drop(log);
    if !store.restart().await {
        return not_promised("to survive a restart");
    }
    let log = store.open().await;
    check(!log.try_mark_processed("kept").await?, || "after the restart the event was first again".into())
}

pub(in crate::conformance) async fn random_steps_follow_the_model<S: Store>(store: &S) -> Kept
where
    S::Log: ProcessedEventLog,
{
    random::follow(store, random::MARKS, async |log, call| random::mark(log, call).await).await
}
