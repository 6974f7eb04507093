//! Delivers events for the cases: concurrently over several handles, and again until no other delivery has
//! the event.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Store;
use super::breach::{Breach, Kept};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::transaction::{MarkOutcome, TransactionalLog};

/// A lease that does not end during a case.
pub(super) const LONG_LEASE: Duration = Duration::from_mins(10);

/// A lease that ends within milliseconds.
pub(super) const SHORT_LEASE: Duration = Duration::from_millis(5);

/// How long a case waits for an answer that has to come, however slow the store is.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// The pause between two tries, so that the server has time for other calls.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) const RACERS: usize = 32;
pub(super) const ROUNDS: usize = 10;
pub(super) const HANDLES: usize = 4;

/// Opens several handles.
pub(super) async fn handles<S: Store>(store: &S) -> Vec<Arc<S::Log>> {
    let mut handles = Vec::new();
    for _ in 0..HANDLES {
        handles.push(Arc::new(store.open().await));
    }
    handles
}

/// Makes [`RACERS`] concurrent deliveries over all handles.
pub(super) async fn race<L, T, Delivery>(
    handles: &[Arc<L>],
    deliver: impl Fn(usize, Arc<L>) -> Delivery,
) -> Kept<Vec<T>>
where
    T: Send + 'static,
    Delivery: Future<Output = Kept<T>> + Send + 'static,
{
    let mut racers = JoinSet::new();
    for (racer, log) in (0..RACERS).zip(handles.iter().cycle()) {
        racers.spawn(deliver(racer, Arc::clone(log)));
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = racers.join_next().await {
        outcomes.push(outcome.map_err(|panic| Breach(format!("a delivery did not end: {panic}")))??);
    }
    Ok(outcomes)
}

/// Waits for an answer that has to come.
pub(super) struct Patience {
    what: &'static str,
    start: Instant,
}

impl Patience {
    pub(super) fn for_the(what: &'static str) -> Self {
        Self { what, start: Instant::now() }
    }

    /// Waits before the next try.
    pub(super) async fn wait(&self) -> Kept {
        if self.start.elapsed() > PATIENCE {
            return Err(Breach(format!("the {} did not come within {PATIENCE:?}", self.what)));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

pub(super) async fn claim<L: ClaimLog>(
    log: &L,
    id: &str,
    owner: Owner,
    lease: Duration,
) -> Kept<ClaimOutcome> {
    Ok(log.claim(event(id)?, owner, lease).await?)
}

/// Claims as a new owner. The claim has to be acquired at once.
pub(super) async fn acquire<L: ClaimLog>(log: &L, id: &str, lease: Duration) -> Kept<Ownership> {
    let owner = Owner::random()?;
    match claim(log, id, owner, lease).await? {
        ClaimOutcome::Acquired { token } => Ok(Ownership { owner, token }),
        other => Err(Breach(format!("{id:?} was there for the taking, and the claim came to {other:?}"))),
    }
}

/// Claims as a new owner until the lease of the claim before has ended.
pub(super) async fn take_over<L: ClaimLog>(log: &L, id: &str, lease: Duration) -> Kept<Ownership> {
    let owner = Owner::random()?;
    let token = take_over_as(log, id, owner, lease).await?;
    Ok(Ownership { owner, token })
}

pub(super) async fn take_over_as<L: ClaimLog>(log: &L, id: &str, owner: Owner, lease: Duration) -> Kept<u64> {
    let patience = Patience::for_the("takeover of a claim whose lease is over");
    loop {
        match claim(log, id, owner, lease).await? {
            ClaimOutcome::Acquired { token } => return Ok(token),
            ClaimOutcome::InProgress { .. } => patience.wait().await?,
            ClaimOutcome::Processed => {
                return Err(Breach(format!(
                    "{id:?} was claimed and not completed, and it counts as processed"
                )));
            }
        }
    }
}

/// Begins and marks, and tries again while another transaction blocks it.
pub(super) async fn mark_in<L: TransactionalLog>(log: &L, id: &str) -> Kept<(L::Transaction, MarkOutcome)> {
    let patience = Patience::for_the("mark in a transaction");
    loop {
        match try_mark_in(log, event(id)?).await {
            Ok(marked) => return Ok(marked),
            Err(error) if patience.wait().await.is_err() => return Err(error.into()),
            Err(_) => {}
        }
    }
}

pub(super) async fn try_mark_in<L: TransactionalLog>(
    log: &L,
    event: EventRef<'_>,
) -> Result<(L::Transaction, MarkOutcome), Error> {
    let mut transaction = log.begin().await?;
    let outcome = log.try_mark_in(&mut transaction, event).await?;
    Ok((transaction, outcome))
}

/// Marks until no other transaction has the event, and ends the transaction: by a commit if `commit` is set
/// and the mark was the first, otherwise by a rollback.
pub(super) async fn transact<L: TransactionalLog>(log: &L, id: &str, commit: bool) -> Kept<MarkOutcome> {
    let patience = Patience::for_the("end of the other transaction");
    loop {
        let (transaction, outcome) = mark_in(log, id).await?;
        if outcome == MarkOutcome::First && commit {
            L::commit(transaction).await?;
        } else {
            L::rollback(transaction).await?;
        }
        if !matches!(outcome, MarkOutcome::InProgress { .. }) {
            return Ok(outcome);
        }
        patience.wait().await?;
    }
}

pub(super) fn event(id: &str) -> Kept<EventRef<'_>> {
    Ok(EventRef::new(id).map_err(Error::from)?)
}
