//! From the claim to its settlement, whatever happens in between.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::lease::{Claim, Lease, SHORTEST_LEASE};
use super::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::owner::Owner;
use crate::see_through::SeeThrough;
use crate::trace::Delivery;

/// What claiming came to, for the expansion.
pub enum Claiming {
    /// Run the body under this guard.
    Acquired(Guard),
    /// Answer as a duplicate.
    Duplicate,
    /// The event could not be claimed.
    Failed(Error),
}

/// A claim that is settled once: by [`settle`](Self::settle), or by being dropped.
///
/// Dropped before it is settled (a panic, a hang-up, a lost lease), it releases in a task of its own,
/// so that the next delivery need not wait for the lease. Without a runtime the lease runs out.
pub struct Guard {
    log: Arc<dyn ClaimLog>,
    lease: Arc<Lease>,
    held: Ownership,
    duration: Duration,
    settled: bool,
    delivery: Delivery,
}

/// Claims the event. Borrows nothing, and is seen through when it is dropped: the claim that it then
/// gets is released.
pub fn claim<L: ClaimLog + ?Sized>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
    duration: Duration,
) -> SeeThrough<Claiming> {
    let log = log.handle();
    let delivery = Delivery::new("claim", key.ok());
    let key = key.map(|event| (event.id().to_owned(), event.event_type().map(str::to_owned)));
    SeeThrough::new(async move {
        let asked_at = Instant::now();
        let acquired = async {
            let (id, event_type) = key?;
            if duration < SHORTEST_LEASE {
                return Err(Error::LeaseTooShort { lease: duration });
            }
            let owner = Owner::random()?;
            let event = EventRef::new(&id)?.with_type(event_type.as_deref());
            let outcome = log.claim(event, owner, duration).await?;
            Ok((id, owner, outcome))
        };
        match acquired.await {
            Ok((event_id, owner, ClaimOutcome::Acquired { fence })) => {
                delivery.first(fence);
                let lease = Arc::new(Lease::new(event_id, fence, asked_at, duration));
                let held = Ownership { owner, fence };
                Claiming::Acquired(Guard { log, lease, held, duration, settled: false, delivery })
            }
            Ok((_, _, ClaimOutcome::Processed)) => {
                delivery.duplicate();
                Claiming::Duplicate
            }
            Ok((event_id, _, ClaimOutcome::InProgress { retry_after })) => {
                delivery.in_progress(retry_after);
                Claiming::Failed(Error::InProgress { event_id, retry_after })
            }
            Err(error) => {
                delivery.failed(&error);
                Claiming::Failed(error)
            }
        }
    })
}

impl Guard {
    /// What the body sees.
    pub fn claim(&self) -> Claim {
        Claim::new(Arc::clone(&self.lease))
    }

    /// Runs the body and keeps the lease meanwhile, in the same task.
    ///
    /// `Err` as soon as the lease is lost; the body is not polled after that, and its owner drops it.
    pub async fn run<F: Future>(self, mut body: Pin<&mut F>) -> Result<(Self, F::Output), Error> {
        let mut keeping: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        let output = poll_fn(|context| {
            // A body that is late is not polled again before its lease was looked at.
            if let Some(keeping) = &mut keeping
                && keeping.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(None);
            }
            if let Poll::Ready(output) = self.delivery.enter(|| body.as_mut().poll(context)) {
                return Poll::Ready(Some(output));
            }
            // Most bodies that never wait need no timer. Outside of a runtime there is none.
            if keeping.is_none() && Handle::try_current().is_ok() {
                let started = keeping.insert(Box::pin(keep(
                    Arc::clone(&self.log),
                    Arc::clone(&self.lease),
                    self.held,
                    self.duration,
                )));
                if started.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
            }
            Poll::Pending
        })
        .await;
        match output {
            Some(output) => Ok((self, output)),
            None => Err(self.lost()),
        }
    }

    /// Completes the event, or releases it.
    ///
    /// Seen through when it is dropped.
    pub async fn settle(mut self, processed: bool) -> Result<(), Error> {
        self.settled = true;
        let (log, lease, held) = (Arc::clone(&self.log), Arc::clone(&self.lease), self.held);
        if processed {
            let completed = SeeThrough::new(async move { log.complete(&lease.event_id, held).await });
            match completed.await {
                Ok(true) => {
                    self.delivery.completed();
                    Ok(())
                }
                Ok(false) => Err(self.lost()),
                Err(error) => {
                    self.delivery.failed(&error);
                    Err(error)
                }
            }
        } else {
            self.delivery.released("the handler's reply was not a success");
            // What cannot be released runs out, and the reply is a failure as it is.
            drop(SeeThrough::new(async move { log.release(&lease.event_id, held).await }).await);
            Ok(())
        }
    }

    /// Nothing is left to settle: the event is another's.
    fn lost(mut self) -> Error {
        self.settled = true;
        self.delivery.lease_lost();
        Error::LeaseLost { event_id: self.lease.event_id.clone() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.delivery.released("the handler panicked or was dropped");
        if let Ok(runtime) = Handle::try_current() {
            let (log, lease, held) = (Arc::clone(&self.log), Arc::clone(&self.lease), self.held);
            runtime.spawn(async move { drop(log.release(&lease.event_id, held).await) });
        }
    }
}

/// Renews the lease well before it ends, for ever. Returns when it is lost.
async fn keep(log: Arc<dyn ClaimLog>, lease: Arc<Lease>, held: Ownership, duration: Duration) {
    let mut next = lease.until() - duration / 3 * 2;
    loop {
        let deadline = lease.until();
        sleep_until(next.min(deadline)).await;
        let asked_at = Instant::now();
        if asked_at >= deadline {
            return;
        }
        match timeout_at(deadline, log.renew(&lease.event_id, held, duration)).await {
            Ok(Ok(true)) => {
                lease.prolong(asked_at, duration);
                next = asked_at + duration / 3;
            }
            Ok(Ok(false)) | Err(_) => return,
            // The store may come back before the lease ends.
            Ok(Err(_)) => next = Instant::now() + duration / 10,
        }
    }
}
