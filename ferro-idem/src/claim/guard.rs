//! From the claim to its settlement, whatever happens in between.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::lease::{Claim, Lease, MAX_LEASE, MIN_LEASE, millis};
use super::{ClaimLog, ClaimOutcome, Ownership};
use crate::detach_on_drop::DetachOnDrop;
use crate::entry::Entry;
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::owner::Owner;
use crate::trace::Delivery;

/// A claim that is settled once: by [`settle`](Self::settle), or by being dropped.
///
/// Dropped before it is settled (a panic, a hang-up, a lost lease), it releases in a task of its own,
/// so that the next delivery need not wait for the lease. Without a runtime the lease runs out.
pub struct Guard {
    lease: Arc<Lease>,
    settled: bool,
}

/// Claims the event. Borrows nothing, and is seen through when it is dropped: the claim that it then
/// gets is released.
pub fn claim<L: ClaimLog + ?Sized>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
    length: Duration,
) -> DetachOnDrop<Entry<Guard>> {
    let log = log.handle();
    let length = length.min(MAX_LEASE);
    let delivery = Delivery::new("claim", key.ok());
    let key = key.map(|event| (event.id().to_owned(), event.event_type().map(str::to_owned)));
    DetachOnDrop::new(async move {
        let acquired = async {
            let (id, event_type) = key?;
            if length < MIN_LEASE {
                return Err(Error::LeaseTooShort { lease: length });
            }
            let owner = Owner::random()?;
            let event = EventRef::new(&id)?.with_type(event_type.as_deref());
            let (outcome, asked_at) = claim_in_time(&*log, event, owner, length).await?;
            Ok((id, owner, outcome, asked_at))
        };
        match acquired.await {
            Ok((event_id, owner, ClaimOutcome::Acquired { token }, asked_at)) => {
                delivery.first(token);
                let lease = Arc::new(Lease {
                    log,
                    event_id,
                    held: Ownership { owner, token },
                    length,
                    delivery,
                    start: asked_at,
                    holds_for: AtomicU64::new(millis(length)),
                });
                Entry::Run(Guard { lease, settled: false })
            }
            Ok((_, _, ClaimOutcome::Processed, _)) => {
                delivery.duplicate();
                Entry::Duplicate
            }
            Ok((event_id, _, ClaimOutcome::InProgress { retry_after }, _)) => {
                delivery.in_progress(retry_after);
                Entry::Failed(Error::InProgress { event_id, retry_after })
            }
            Err(error) => {
                delivery.failed(&error);
                Entry::Failed(error)
            }
        }
    })
}

/// Claims, and knows since when at the latest.
///
/// A store that answered late may have given a lease that is over, as far as this machine can tell: no body
/// must begin with it. The same owner again is the same claim with a new lease; a store that is late twice
/// is too slow for this lease.
async fn claim_in_time(
    log: &dyn ClaimLog,
    event: EventRef<'_>,
    owner: Owner,
    length: Duration,
) -> Result<(ClaimOutcome, Instant), Error> {
    let mut late = None;
    for _ in 0..2 {
        let asked_at = Instant::now();
        let outcome = log.claim(event, owner, length).await?;
        let ClaimOutcome::Acquired { token } = outcome else { return Ok((outcome, asked_at)) };
        if asked_at.elapsed() < length / 2 {
            return Ok((outcome, asked_at));
        }
        late = Some(Ownership { owner, token });
    }
    if let Some(held) = late {
        // What cannot be released runs out.
        drop(log.release(event.id(), held).await);
    }
    Err(Error::lease_lost(event.id()))
}

impl Guard {
    /// What the body sees.
    pub fn claim(&self) -> Claim {
        Claim::new(Arc::clone(&self.lease))
    }

    /// Runs the body and keeps the lease meanwhile, in the same task.
    ///
    /// `None` as soon as the lease is lost; the body is not polled after that, and its owner drops it.
    pub async fn run<F: Future>(&self, mut body: Pin<&mut F>) -> Option<F::Output> {
        let mut keeping: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        poll_fn(|context| {
            // A body that is late is not polled again before its lease was looked at.
            if let Some(keeping) = &mut keeping
                && keeping.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(None);
            }
            if let Poll::Ready(output) = self.lease.delivery.enter(|| body.as_mut().poll(context)) {
                return Poll::Ready(Some(output));
            }
            // Most bodies that never wait need no timer. Outside of a runtime there is none.
            if keeping.is_none() && Handle::try_current().is_ok() {
                let started = keeping.insert(Box::pin(keep(Arc::clone(&self.lease))));
                if started.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Completes the event, or releases it.
    ///
    /// Seen through when it is dropped.
    pub async fn settle(mut self, processed: bool) -> Result<(), Error> {
        self.settled = true;
        let lease = Arc::clone(&self.lease);
        if processed {
            match DetachOnDrop::new(async move { lease.complete().await }).await {
                Ok(true) => {
                    self.lease.delivery.completed();
                    Ok(())
                }
                Ok(false) => Err(self.lost()),
                Err(error) => {
                    self.lease.delivery.failed(&error);
                    Err(error)
                }
            }
        } else {
            self.lease.delivery.released("the handler's reply was not a success");
            // What cannot be released runs out, and the reply is a failure as it is.
            drop(DetachOnDrop::new(async move { lease.release().await }).await);
            Ok(())
        }
    }

    /// Nothing is left to settle: the event is another's.
    pub fn lost(mut self) -> Error {
        self.settled = true;
        self.lease.delivery.lease_lost();
        Error::lease_lost(self.lease.event_id.as_str())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.lease.delivery.released("the handler panicked or was dropped");
        if let Ok(runtime) = Handle::try_current() {
            let lease = Arc::clone(&self.lease);
            runtime.spawn(async move { drop(lease.release().await) });
        }
    }
}

/// Renews the lease well before it ends, for ever. Returns when it is lost.
async fn keep(lease: Arc<Lease>) {
    let mut next = lease.start + lease.length / 3;
    loop {
        let deadline = lease.until();
        sleep_until(next.min(deadline)).await;
        let asked_at = Instant::now();
        if asked_at >= deadline {
            return;
        }
        match timeout_at(deadline, lease.renew()).await {
            Ok(Ok(true)) => {
                lease.prolong(asked_at);
                next = asked_at + lease.length / 3;
            }
            Ok(Ok(false)) | Err(_) => return,
            // The store may come back before the lease ends.
            Ok(Err(_)) => next = Instant::now() + lease.length / 10,
        }
    }
}
