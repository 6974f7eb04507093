//! Cases about events that a worker holds, until they are completed or parked.

use std::time::Duration;

use super::{
    ALL, LONG_LEASE, MANY_ATTEMPTS, SHORT_LEASE, TestedInbox, body_of, complete, complete_all, ids, is_first,
    nothing_is_due, receive, take, take_only, take_over,
};
use crate::conformance::Store;
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{Patience, RACERS, ROUNDS, handles, race};
use crate::conformance::dropping::{MAX_POLLS, drop_after_polls};
use crate::inbox::parts::{TakeLimits, UsedUp};

pub(in crate::conformance) async fn what_is_received_is_taken_as_it_came<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for order_key in [None, Some("ké")] {
        let id = format!("as it came, with {order_key:?}");
        is_first(&inbox, &id, order_key).await?;
        let taken = take_only(&other, &id, LONG_LEASE).await?;
        let seen = (&*taken.stored, &*taken.event_type, taken.order_key.as_deref(), taken.attempts);
        check(seen == (&*body_of(&id), "kit", order_key, 1), || format!("{id:?} was taken as {seen:?}"))?;
        nothing_is_due(&inbox, "the only event is held").await?;
        complete(&other, &taken).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn of_many_workers_one_takes_an_event<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let handles = handles(store).await;
    let Some(inbox) = handles.first() else { return Ok(()) };
    for round in 0..ROUNDS {
        let id = format!("taken_{round}");
        is_first(&**inbox, &id, (round % 2 == 0).then_some("taken")).await?;
        let limits = TakeLimits { events: 1, lease: LONG_LEASE, max_attempts: MANY_ATTEMPTS };
        let taken = race(&handles, |_, inbox| async move { Ok(inbox.take(limits).await?.taken) }).await?;
        let mut taken: Vec<_> = taken.into_iter().flatten().collect();
        check(taken.len() <= 1, || format!("of {RACERS} workers at once, {} took {id:?}", taken.len()))?;
        let taken = match taken.pop() {
            Some(taken) => taken,
            // Each may have left it to another.
            None => take_over(&**inbox, &id, LONG_LEASE).await?,
        };
        complete(&**inbox, &taken).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_take_gets_no_more_than_it_wants<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let inbox = store.open().await;
    let mut left = Vec::new();
    for n in 0..7 {
        let id = format!("wanted_{n}");
        is_first(&inbox, &id, None).await?;
        left.push(id);
    }
    for events in [1, 2, 3] {
        let taken = take(&inbox, events, LONG_LEASE).await?;
        check(taken.len() == events as usize, || {
            format!("{events} were wanted, more were due, and {:?} were taken", ids(&taken))
        })?;
        for taken in &taken {
            left.retain(|left| **left != *taken.held.event_id);
            complete(&inbox, taken).await?;
        }
    }
    complete_all(&inbox, left).await
}

pub(in crate::conformance) async fn an_event_is_taken_until_it_is_completed<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for order_key in [None, Some("until")] {
        let id = format!("until, with {order_key:?}");
        is_first(&inbox, &id, order_key).await?;
        let mut taken = take_only(&inbox, &id, LONG_LEASE).await?;
        for attempt in 2..=4 {
            let backed_off = inbox.back_off(&taken.held, Duration::ZERO, "a reason").await?;
            check(backed_off, || format!("{id:?} was held, and not backed off"))?;
            let again = take_only(&other, &id, LONG_LEASE).await?;
            check(again.attempts == attempt, || {
                format!("attempt {attempt} of {id:?} was counted as {}", again.attempts)
            })?;
            check(again.held.ownership.token > taken.held.ownership.token, || {
                format!("{:?} was taken after {:?}", again.held, taken.held)
            })?;
            check(again.stored == body_of(&id), || format!("{id:?} came again with another body"))?;
            taken = again;
        }
        complete(&other, &taken).await?;
        nothing_is_due(&inbox, "the only event is processed").await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_backoff_is_respected<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    is_first(&inbox, "backed off", None).await?;
    let taken = take_only(&inbox, "backed off", LONG_LEASE).await?;
    // The backoff decides, and not the rest of the lease.
    let pause = Duration::from_millis(300);
    let start = std::time::Instant::now();
    check(inbox.back_off(&taken.held, pause, "").await?, || {
        "an event that was held was not backed off".into()
    })?;
    let again = take_over(&other, "backed off", LONG_LEASE).await?;
    let waited = start.elapsed();
    // A tenth for clocks that do not run alike.
    check(waited >= pause * 9 / 10, || format!("after a backoff of {pause:?} it was taken in {waited:?}"))?;
    check(other.back_off(&again.held, LONG_LEASE, "").await?, || "it was not backed off again".into())?;
    for inbox in [&inbox, &other] {
        nothing_is_due(inbox, "the only event waits for ten minutes").await?;
    }
    let waiting = inbox.counts().await?.waiting;
    check(waiting >= 1, || format!("an event in backoff was lost: {waiting} wait"))
}

pub(in crate::conformance) async fn a_released_event_is_taken_at_once<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    is_first(&inbox, "released", Some("released")).await?;
    let mut before = 0;
    for _ in 0..3 {
        let taken = take_only(&inbox, "released", LONG_LEASE).await?;
        let seen = (taken.attempts, taken.held.ownership.token);
        check(seen.0 == 1, || format!("a release counted as an attempt: {seen:?}"))?;
        check(seen.1 > before, || format!("token {} came after {before}", seen.1))?;
        before = seen.1;
        check(inbox.release(&taken.held).await?, || "an event that was held was not released".into())?;
        check(!inbox.complete(&taken.held).await?, || "an event was completed after its release".into())?;
    }
    let taken = take_only(&other, "released", LONG_LEASE).await?;
    complete(&other, &taken).await
}

pub(in crate::conformance) async fn what_uses_up_its_attempts_is_parked<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let inbox = store.open().await;
    is_first(&inbox, "kills its worker", Some("killer")).await?;
    let limits = TakeLimits { events: ALL, lease: SHORT_LEASE, max_attempts: 3 };
    let patience = Patience::for_the("parking of an event that has used up its attempts");
    let mut attempts = Vec::new();
    loop {
        let batch = inbox.take(limits).await?;
        attempts.extend(batch.taken.iter().map(|taken| taken.attempts));
        check(attempts.len() <= 3, || format!("of 3 attempts it got {attempts:?}"))?;
        if !batch.parked.is_empty() {
            let parked = UsedUp { event_id: "kills its worker".into(), attempts: 3 };
            check(batch.parked == [parked], || format!("{:?} were parked", batch.parked))?;
            break;
        }
        patience.wait().await?;
    }
    check(attempts == [1, 2, 3], || format!("it was parked after the attempts {attempts:?}"))?;
    nothing_is_due(&inbox, "the only event is parked").await
}

pub(in crate::conformance) async fn a_parked_event_is_taken_no_more<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let before = inbox.counts().await?.parked;
    is_first(&inbox, "parked", None).await?;
    let taken = take_only(&inbox, "parked", SHORT_LEASE).await?;
    check(inbox.park(&taken.held, "a reason").await?, || "an event that was held was not parked".into())?;
    let parked = other.counts().await?.parked;
    check(parked == before + 1, || format!("{before} were parked before, and {parked} after it"))?;
    for step in [
        inbox.complete(&taken.held).await?,
        inbox.back_off(&taken.held, Duration::ZERO, "").await?,
        inbox.release(&taken.held).await?,
        inbox.renew(&taken.held, LONG_LEASE).await?,
    ] {
        check(!step, || "a parked event was changed by its last worker".into())?;
    }
    for inbox in [&inbox, &other, &inbox] {
        nothing_is_due(inbox, "the only event is parked").await?;
    }
    Ok(())
}

/// What a worker does with an event that it holds.
#[derive(Clone, Copy, Debug)]
enum Step {
    Renew,
    BackOff,
    Release,
    Complete,
    Park,
}

/// The call goes on after it is dropped, as a statement does whose reply is lost: it was carried out or not.
pub(in crate::conformance) async fn a_step_dropped_at_any_await_harms_nobody<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for polls in 0..MAX_POLLS {
        for step in [Step::Renew, Step::BackOff, Step::Release, Step::Complete, Step::Park] {
            let id = format!("{step:?}_{polls}");
            is_first(&inbox, &id, Some("steps")).await?;
            let held = take_over(&inbox, &id, LONG_LEASE).await?.held;
            let done = match step {
                Step::Renew => drop_after_polls(inbox.renew(&held, LONG_LEASE), polls).await,
                Step::BackOff => drop_after_polls(inbox.back_off(&held, Duration::ZERO, ""), polls).await,
                Step::Release => drop_after_polls(inbox.release(&held), polls).await,
                Step::Complete => drop_after_polls(inbox.complete(&held), polls).await,
                Step::Park => drop_after_polls(inbox.park(&held, ""), polls).await,
            };
            let done = done.transpose()?;
            check(done != Some(false), || format!("{id:?} was held, and the step was refused"))?;
            // Whether it was carried out or not, the worker may end the event, or has ended it.
            match step {
                Step::Renew => {
                    check(inbox.complete(&held).await?, || format!("{id:?} was lost by a renewal"))?;
                }
                Step::BackOff | Step::Release => {
                    // A step that was dropped before its first poll was not made.
                    inbox.release(&held).await?;
                    let again = take_over(&other, &id, LONG_LEASE).await?;
                    check(again.held.ownership.token > held.ownership.token, || {
                        format!("{:?} was taken after {held:?}", again.held)
                    })?;
                    complete(&other, &again).await?;
                }
                Step::Complete => drop(inbox.complete(&held).await?),
                Step::Park => drop(inbox.park(&held, "").await?),
            }
            nothing_is_due(&other, "the only event has ended").await?;
            let received = receive(&other, &id, None).await?;
            check(received == crate::inbox::parts::Received::Duplicate, || format!("{id:?} was forgotten"))?;
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn a_take_dropped_at_any_await_loses_nothing<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    let limits = TakeLimits { events: ALL, lease: LONG_LEASE, max_attempts: MANY_ATTEMPTS };
    for polls in 0..MAX_POLLS {
        let id = format!("take_{polls}");
        is_first(&inbox, &id, None).await?;
        if let Some(batch) = drop_after_polls(inbox.take(limits), polls).await.transpose()? {
            for taken in &batch.taken {
                inbox.release(&taken.held).await?;
            }
        }
        let taken = take_over(&other, &id, LONG_LEASE).await?;
        check(taken.attempts == 1, || format!("a take that was dropped counted: {}", taken.attempts))?;
        complete(&other, &taken).await?;
    }
    Ok(())
}
