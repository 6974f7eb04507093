//! Cases about what is stored, and for how long.

use std::time::Duration;

use super::{
    ALL, LONG_LEASE, TestedInbox, complete, complete_all, delivery, is_duplicate, is_first, nothing_is_due,
    receive, take, take_only, take_over,
};
use crate::conformance::breach::{Kept, check, not_promised};
use crate::conformance::delivering::{Patience, RACERS, ROUNDS, handles, race};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::conformance::tested_inbox::Ending;
use crate::conformance::{Store, ids};
use crate::inbox::parts::Received;

pub(in crate::conformance) async fn of_many_racers_one_is_stored<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let handles = handles(store).await;
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let id = format!("raced_{round}");
        let received = race(&handles, |_, inbox| {
            let id = id.clone();
            async move { receive(&*inbox, &id, None).await }
        });
        let firsts = received.await?.into_iter().filter(|received| *received == Received::First).count();
        check(firsts == 1, || format!("of {RACERS} deliveries of {id:?} at once, {firsts} were the first"))?;
        all.push(id);
    }
    complete_all(&store.open().await, all).await
}

pub(in crate::conformance) async fn an_event_stays_a_duplicate<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    is_first(&inbox, "again", Some("key")).await?;
    is_duplicate(&other, "again", "while it waited").await?;
    let taken = take_only(&inbox, "again", LONG_LEASE).await?;
    is_duplicate(&other, "again", "while it ran").await?;
    inbox.back_off(&taken.held, Duration::ZERO, "").await?;
    is_duplicate(&other, "again", "while it waited for its next attempt").await?;
    let taken = take_over(&inbox, "again", LONG_LEASE).await?;
    is_duplicate(&other, "again", "in its second attempt").await?;
    complete(&inbox, &taken).await?;
    is_duplicate(&other, "again", "after it was processed").await?;
    is_duplicate(&inbox, "again", "after it was processed").await?;

    is_first(&inbox, "again, parked", Some("key")).await?;
    let taken = take_only(&inbox, "again, parked", LONG_LEASE).await?;
    check(inbox.park(&taken.held, "").await?, || "an event that was held was not parked".into())?;
    is_duplicate(&other, "again, parked", "after it was parked").await?;
    nothing_is_due(&inbox, "every event is processed or parked").await
}

/// Stores all events, and then all of them again.
async fn each_is_stored_once<S: Store>(store: &S, ids: impl Iterator<Item = &str> + Clone) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for id in ids.clone() {
        is_first(&inbox, id, Some(id)).await?;
    }
    for id in ids.clone() {
        is_duplicate(&other, id, "with others of almost the same id").await?;
    }
    complete_all(&other, ids.map(str::to_owned).collect()).await
}

pub(in crate::conformance) async fn near_equal_ids_are_different_events<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    each_is_stored_once(store, ids::NEAR_EQUAL.into_iter()).await
}

pub(in crate::conformance) async fn ids_at_the_limits_are_kept<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    each_is_stored_once(store, ids::at_the_limits().iter().map(String::as_str)).await
}

pub(in crate::conformance) async fn hostile_ids_are_only_text<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    each_is_stored_once(store, ids::HOSTILE.into_iter()).await
}

pub(in crate::conformance) async fn what_is_put_comes_with_its_transaction<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for order_key in [None, Some("put")] {
        let id = format!("put with {order_key:?}");
        let put = async |ending| {
            Ok::<_, crate::conformance::breach::Breach>(inbox.put(delivery(&id, order_key)?, ending).await?)
        };
        check(put(Ending::Rollback).await? == Received::First, || {
            format!("{id:?} is new, and was a duplicate")
        })?;
        nothing_is_due(&other, "the only delivery was rolled back").await?;
        let received = put(Ending::Commit).await?;
        check(received == Received::First, || {
            format!("{id:?} was rolled back, and was a duplicate after that")
        })?;
        check(put(Ending::Commit).await? == Received::Duplicate, || format!("{id:?} was stored twice"))?;
        is_duplicate(&other, &id, "after it was put").await?;
        complete_all(&other, vec![id.clone()]).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_processed_event_leaves_no_body<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let inbox = store.open().await;
    let Some(before) = store.bodies(&inbox).await else { return not_promised("a look at the bodies") };
    let bodies_of = async |events: u64, when: &str| {
        let bodies = store.bodies(&inbox).await.unwrap_or(0).saturating_sub(before);
        check(bodies == events, || format!("{when}, there were {bodies} bodies of {events} events"))
    };
    for id in ["body 1", "body 2"] {
        is_first(&inbox, id, None).await?;
        is_duplicate(&inbox, id, "").await?;
    }
    bodies_of(2, "after two events were received twice").await?;
    let taken = take(&inbox, ALL, LONG_LEASE).await?;
    for taken in &taken {
        complete(&inbox, taken).await?;
    }
    bodies_of(0, "after all were processed").await?;
    is_duplicate(&inbox, "body 1", "after it was processed").await?;
    bodies_of(0, "after a processed event came again").await
}

pub(in crate::conformance) async fn a_purge_leaves_what_is_not_processed<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let inbox = store.open().await;
    for id in ["purged", "parked at the purge", "running at the purge", "waiting at the purge"] {
        is_first(&inbox, id, None).await?;
    }
    let mut running = None;
    for taken in take(&inbox, ALL, LONG_LEASE).await? {
        match &*taken.held.event_id {
            "purged" => complete(&inbox, &taken).await?,
            "parked at the purge" => drop(inbox.park(&taken.held, "").await?),
            "waiting at the purge" => drop(inbox.back_off(&taken.held, Duration::ZERO, "").await?),
            _ => running = Some(taken),
        }
    }
    let patience = Patience::for_the("purge of a processed event");
    while inbox.purge(Duration::ZERO).await? == 0 {
        patience.wait().await?;
    }
    for id in ["parked at the purge", "running at the purge", "waiting at the purge"] {
        is_duplicate(&inbox, id, "after the purge").await?;
    }
    is_first(&inbox, "purged", None).await?;
    if let Some(running) = &running {
        complete(&inbox, running).await?;
    }
    complete_all(&inbox, vec!["purged".into(), "waiting at the purge".into()]).await
}

pub(in crate::conformance) async fn an_inbox_survives_a_restart<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let inbox = store.open().await;
    for id in ["done before", "held before"] {
        is_first(&inbox, id, Some(id)).await?;
    }
    let mut held = None;
    for taken in take(&inbox, ALL, LONG_LEASE).await? {
        match &*taken.held.event_id {
            "done before" => complete(&inbox, &taken).await?,
            _ => held = Some(taken),
        }
    }
    is_first(&inbox, "waiting before", None).await?;
    drop(inbox);
    if !store.restart().await {
        return not_promised("to survive a restart");
    }
    let inbox = store.open().await;
    for id in ["done before", "held before", "waiting before"] {
        is_duplicate(&inbox, id, "after the restart").await?;
    }
    if let Some(held) = &held {
        check(inbox.complete(&held.held).await?, || "a lease was lost by the restart".into())?;
    }
    complete_all(&inbox, vec!["waiting before".into()]).await
}

pub(in crate::conformance) async fn a_receive_dropped_at_any_await_loses_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let mut all = Vec::new();
    for polls in 0..MAX_POLLS {
        let id = format!("dropped_{polls}");
        drop_after_polls(inbox.receive(delivery(&id, None)?), polls).await.transpose()?;
        // The sender comes again, and hears that the event is there: from now on it has to be.
        receive(&other, &id, None).await?;
        is_duplicate(&inbox, &id, "after it was acknowledged").await?;
        is_first(&inbox, &format!("beside_{polls}"), None).await?;
        all.extend([id, format!("beside_{polls}")]);
    }
    complete_all(&other, all).await
}
