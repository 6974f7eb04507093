//! Cases about events of one order key: one at a time, in the order of their arrival.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{
    ALL, LONG_LEASE, SHORT_LEASE, TestedInbox, complete, complete_all, ids, is_first, nothing_is_due, take,
    take_only, take_over,
};
use crate::conformance::Store;
use crate::conformance::breach::{Breach, Kept, check};
use crate::conformance::delivering::{Patience, handles};

const KEYS: usize = 3;
const EVENTS: usize = 45;

/// What runs, and what is processed.
#[derive(Default)]
struct History {
    running: HashSet<usize>,
    processed: HashMap<usize, usize>,
    attempts: usize,
}

impl History {
    /// A worker begins event number `n` of a key.
    fn begin(&mut self, key: usize, n: usize) -> Kept {
        self.attempts += 1;
        check(self.running.insert(key), || format!("two events of key {key} ran at once"))?;
        let processed = self.processed.get(&key).copied().unwrap_or(0);
        check(n == processed, || format!("event {n} of key {key} ran after {processed} were processed"))
    }

    /// Ends it. Some attempts fail, and some are given back.
    fn end(&mut self, key: usize) -> End {
        self.running.remove(&key);
        match self.attempts % 5 {
            1 => End::BackOff,
            3 => End::Release,
            _ => {
                *self.processed.entry(key).or_default() += 1;
                End::Complete
            }
        }
    }
}

enum End {
    BackOff,
    Release,
    Complete,
}

fn name_of(key: usize, n: usize) -> String {
    format!("ordered_{key}_{n}")
}

fn number_of(id: &str) -> Kept<(usize, usize)> {
    let parsed = || {
        let (key, n) = id.strip_prefix("ordered_")?.split_once('_')?;
        Some((key.parse().ok()?, n.parse().ok()?))
    };
    parsed().ok_or_else(|| Breach(format!("{id:?} was never received")))
}

async fn work<I: TestedInbox>(inbox: Arc<I>, history: Arc<Mutex<History>>) -> Kept {
    let history = || history.lock().unwrap_or_else(PoisonError::into_inner);
    let patience = Patience::for_the("end of all events");
    while history().processed.values().sum::<usize>() < EVENTS {
        let taken = take(&*inbox, 4, LONG_LEASE).await?;
        if taken.is_empty() {
            patience.wait().await?;
        }
        for taken in &taken {
            let (key, n) = number_of(&taken.held.event_id)?;
            history().begin(key, n)?;
            tokio::task::yield_now().await;
            let end = history().end(key);
            let done = match end {
                End::BackOff => inbox.back_off(&taken.held, Duration::ZERO, "").await?,
                End::Release => inbox.release(&taken.held).await?,
                End::Complete => inbox.complete(&taken.held).await?,
            };
            check(done, || format!("{:?} was held, and the step was refused", taken.held.event_id))?;
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn events_of_a_key_run_in_the_order_of_their_arrival<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: TestedInbox,
{
    let handles = handles(store).await;
    for (number, inbox) in (0..EVENTS).zip(handles.iter().cycle()) {
        let (key, n) = (number % KEYS, number / KEYS);
        is_first(&**inbox, &name_of(key, n), Some(&format!("order {key}"))).await?;
    }
    let history = Arc::<Mutex<History>>::default();
    let mut workers = JoinSet::new();
    for inbox in &handles {
        workers.spawn(work(Arc::clone(inbox), Arc::clone(&history)));
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|panic| Breach(format!("a worker did not end: {panic}")))??;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_takeover_keeps_the_order_of_a_key<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for id in ["first of a key", "second of a key"] {
        is_first(&inbox, id, Some("taken over")).await?;
    }
    let late = take_only(&inbox, "first of a key", SHORT_LEASE).await?;
    let next = take_over(&other, "first of a key", LONG_LEASE).await?;
    check(!inbox.complete(&late.held).await?, || "a late worker completed an event".into())?;
    nothing_is_due(&inbox, "the first event of the key runs").await?;
    check(other.back_off(&next.held, LONG_LEASE, "").await?, || "a held event was not backed off".into())?;
    nothing_is_due(&inbox, "the first event of the key waits for its next attempt").await?;
    Ok(())
}

pub(in crate::conformance) async fn a_failing_event_holds_up_no_other_key<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let inbox = store.open().await;
    for (id, key) in
        [("fails", Some("a")), ("other key", Some("b")), ("later of b", Some("b")), ("no key", None)]
    {
        is_first(&inbox, id, key).await?;
    }
    for taken in take(&inbox, ALL, LONG_LEASE).await? {
        if &*taken.held.event_id == "fails" {
            inbox.back_off(&taken.held, LONG_LEASE, "").await?;
        } else {
            inbox.release(&taken.held).await?;
        }
    }
    complete_all(&inbox, ["other key", "later of b", "no key"].map(str::to_owned).to_vec()).await
}

pub(in crate::conformance) async fn a_parked_event_does_not_block_its_key<S: Store>(store: &S) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await, store.open().await);
    for id in ["parks", "after it"] {
        is_first(&inbox, id, Some("parked")).await?;
    }
    let taken = take_only(&inbox, "parks", LONG_LEASE).await?;
    check(inbox.park(&taken.held, "").await?, || "a held event was not parked".into())?;
    is_first(&other, "after both", Some("parked")).await?;
    for id in ["after it", "after both"] {
        let next = take_only(&other, id, LONG_LEASE).await?;
        complete(&other, &next).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn a_parked_event_blocks_its_key_in_a_strict_inbox<S: Store>(
    store: &S,
) -> Kept
where
    S::Log: TestedInbox,
{
    let (inbox, other) = (store.open().await.strict(), store.open().await.strict());
    for (id, key) in
        [("strictly first", "strict"), ("strictly second", "strict"), ("of another key", "other")]
    {
        is_first(&inbox, id, Some(key)).await?;
    }
    let taken = take(&inbox, ALL, LONG_LEASE).await?;
    let mut seen = ids(&taken);
    seen.sort_unstable();
    check(seen == ["of another key", "strictly first"], || format!("{seen:?} were taken"))?;
    for taken in &taken {
        match &*taken.held.event_id {
            "strictly first" => drop(inbox.park(&taken.held, "").await?),
            _ => complete(&inbox, taken).await?,
        }
    }
    is_first(&other, "strictly third", Some("strict")).await?;
    for inbox in [&inbox, &other] {
        nothing_is_due(inbox, "the first event of the key is parked").await?;
    }
    Ok(())
}
