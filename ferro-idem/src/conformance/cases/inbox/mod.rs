//! Cases about an inbox: never lost, one worker at a time.
//!
//! Each case ends what it has stored, so that the cases of a suite can share one store.

mod late;
mod order;
mod received;
mod taken;

use std::time::Duration;

pub(in crate::conformance) use self::late::*;
pub(in crate::conformance) use self::order::*;
pub(in crate::conformance) use self::received::*;
pub(in crate::conformance) use self::taken::*;
use crate::conformance::breach::{Breach, Kept, check};
use crate::conformance::delivering::{LONG_LEASE, Patience, SHORT_LEASE, event};
use crate::conformance::tested_inbox::TestedInbox;
use crate::inbox::parts::{NewDelivery, Received, TakeLimits, Taken};

/// More attempts than a case makes.
const MANY_ATTEMPTS: u32 = 10_000;

/// More deliveries than a case stores.
const ALL: u32 = 1_000;

/// How often a take may find nothing although an event is due: another call may have it under a lock.
const MAX_MISSES: usize = 200;

fn delivery(id: &str, order_key: Option<&str>) -> Kept<NewDelivery> {
    Ok(NewDelivery::new(event(id)?.with_type("kit"), order_key, body_of(id)))
}

/// Bytes that are no text, and differ for each event.
fn body_of(id: &str) -> Vec<u8> {
    [b"\0\xff\r\n{", id.as_bytes()].concat()
}

async fn receive<I: TestedInbox>(inbox: &I, id: &str, order_key: Option<&str>) -> Kept<Received> {
    Ok(inbox.receive(delivery(id, order_key)?).await?)
}

async fn is_first<I: TestedInbox>(inbox: &I, id: &str, order_key: Option<&str>) -> Kept {
    let received = receive(inbox, id, order_key).await?;
    check(received == Received::First, || format!("{id:?} is new, and was taken for a duplicate"))
}

async fn is_duplicate<I: TestedInbox>(inbox: &I, id: &str, when: &str) -> Kept {
    let received = receive(inbox, id, None).await?;
    check(received == Received::Duplicate, || {
        format!("{id:?} was received again {when}, and was stored again")
    })
}

/// Takes what is due, without waiting.
async fn take<I: TestedInbox>(inbox: &I, events: u32, lease: Duration) -> Kept<Vec<Taken>> {
    let limits = TakeLimits { events, lease, max_attempts: MANY_ATTEMPTS };
    let taken = inbox.take(limits).await?.taken;
    if taken.is_empty() && inbox.free_heads().await? > 0 {
        return Ok(inbox.take(limits).await?.taken);
    }
    Ok(taken)
}

fn ids(taken: &[Taken]) -> Vec<&str> {
    taken.iter().map(|taken| &*taken.held.event_id).collect()
}

/// Takes what is due, which has to be this event, and nothing else.
async fn take_only<I: TestedInbox>(inbox: &I, id: &str, lease: Duration) -> Kept<Taken> {
    let mut taken = take(inbox, ALL, lease).await?;
    check(ids(&taken) == [id], || format!("{id:?} was due, and {:?} were taken", ids(&taken)))?;
    taken.pop().ok_or_else(|| Breach("nothing was taken".into()))
}

/// Takes this event as soon as its lease has ended, or what was dropped is done.
async fn take_over<I: TestedInbox>(inbox: &I, id: &str, lease: Duration) -> Kept<Taken> {
    let patience = Patience::for_the("take of an event that is waiting, or whose lease is over");
    loop {
        let mut taken = take(inbox, ALL, lease).await?;
        check(taken.is_empty() || ids(&taken) == [id], || {
            format!("{id:?} was to be taken over, and {:?} were taken", ids(&taken))
        })?;
        match taken.pop() {
            Some(taken) => return Ok(taken),
            None => patience.wait().await?,
        }
    }
}

/// Nothing can be taken.
async fn nothing_is_due<I: TestedInbox>(inbox: &I, why: &str) -> Kept {
    let taken = take(inbox, ALL, LONG_LEASE).await?;
    check(taken.is_empty(), || format!("{why}, and {:?} were taken", ids(&taken)))
}

async fn complete<I: TestedInbox>(inbox: &I, taken: &Taken) -> Kept {
    check(inbox.complete(&taken.held).await?, || {
        format!("{:?} was held, and not completed", taken.held.event_id)
    })
}

/// Takes and completes all of these, in any order.
async fn complete_all<I: TestedInbox>(inbox: &I, mut left: Vec<String>) -> Kept {
    let mut misses = 0;
    while !left.is_empty() {
        let taken = take(inbox, ALL, LONG_LEASE).await?;
        if taken.is_empty() {
            misses += 1;
            check(misses < MAX_MISSES, || format!("{left:?} were received, and are not taken"))?;
            tokio::time::sleep(SHORT_LEASE).await;
        }
        for taken in &taken {
            let id = &*taken.held.event_id;
            let place = left.iter().position(|left| left == id);
            let place = place.ok_or_else(|| Breach(format!("{id:?} was taken twice, or never received")))?;
            check(taken.stored == body_of(id), || {
                format!("{id:?} was taken with another body than its own")
            })?;
            left.swap_remove(place);
            complete(inbox, taken).await?;
        }
    }
    nothing_is_due(inbox, "all events are processed").await
}
