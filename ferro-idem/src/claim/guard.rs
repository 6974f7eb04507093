//! Claims an event, runs the body under the lease, and completes or releases the event afterwards.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::in_time::claim_in_time;
use super::lease::{Claim, Lease, Loss, millis};
use super::renewal::{Renewal, outlives_a_blocked_thread};
use super::send::{OnlyClaims, SendClaim};
use super::{ClaimAhead, ClaimLog, ClaimOutcome, Ownership};
use crate::delivery::Delivery;
use crate::detach_on_drop::DetachOnDrop;
use crate::entry::{Entry, Seen};
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::lease_length::{MAX_LEASE, MIN_LEASE};
use crate::nesting::{Frame, Handler};
use crate::observed;
use crate::owner::Owner;
use crate::reply::failure::{Failure, NO_SUCCESS};
use crate::running::Running;
use crate::steps::{self, Refusal};

/// A claim that is settled exactly once: by [`settle`](Self::settle), or when it is dropped.
///
/// If it is dropped before [`settle`](Self::settle), by a panic or a hang-up, the event is released in the
/// background, so that the next delivery does not wait for the lease to end. Without a runtime, the lease
/// ends by itself.
pub struct Guard {
    lease: Arc<Lease>,
    stage: Stage,
    loss: Option<Loss>,
}

enum Stage {
    /// No body has begun under the claim.
    Undelivered,
    Running,
    Settled,
}

/// Claims the event. The future borrows nothing. If it is dropped, it finishes in the background and
/// withdraws the claim that it gets.
pub fn claim<L: ClaimLog + ?Sized>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
    length: Duration,
    handler: Handler,
) -> DetachOnDrop<Entry<Guard>> {
    let claiming = Claiming::new(log, key, length, handler);
    DetachOnDrop::new(async move {
        match claiming.claim(&mut OnlyClaims).await {
            Claimed::Run(guard) => Entry::Run(guard),
            Claimed::Processed(seen) => {
                seen.delivery.duplicate(seen.frame.event);
                Entry::Duplicate
            }
            Claimed::Failed(error) => Entry::Failed(error),
        }
    })
}

/// The result of a claim. A failure is traced, a duplicate is not yet.
pub(crate) enum Claimed {
    Run(Guard),
    Processed(Seen),
    Failed(Error),
}

/// A claim that is still to be made. It borrows nothing.
pub(crate) struct Claiming {
    log: Arc<dyn ClaimLog>,
    event: Result<Wanted, Error>,
    length: Duration,
    delivery: Delivery,
}

/// The event that is to be claimed.
struct Wanted {
    id: String,
    event_type: Option<String>,
    frame: Frame,
    /// The claim that was made for this handler.
    ahead: Option<ClaimAhead>,
}

impl Claiming {
    pub(crate) fn new<L: ClaimLog + ?Sized>(
        log: &L,
        key: Result<EventRef<'_>, InvalidEventId>,
        length: Duration,
        handler: Handler,
    ) -> Self {
        let length = steps::lease(length).min(MAX_LEASE);
        let delivery = Delivery::new("claim", handler, key.ok());
        let event = key.map_err(Error::from).and_then(|event| {
            let frame = Frame::new(log.store_id(), event.id(), handler)?;
            let ahead = observed::claims(log, event, length);
            Ok(Wanted {
                id: event.id().to_owned(),
                event_type: event.event_type().map(str::to_owned),
                frame,
                ahead,
            })
        });
        Self { log: log.handle(), event, length, delivery }
    }

    pub(crate) async fn claim(self, send: &mut impl SendClaim) -> Claimed {
        let Self { log, event, length, delivery } = self;
        let acquired = async {
            let Wanted { id, event_type, frame, ahead } = event?;
            if length < MIN_LEASE {
                return Err(Error::LeaseTooShort { lease: length });
            }
            let made = match ahead {
                Some(ahead) => ahead.take_over().await,
                None => None,
            };
            let (owner, made) = match made {
                Some(made) => made,
                None => (Owner::random()?, None),
            };
            let event = EventRef::new(&id)?.with_type(event_type.as_deref());
            let (outcome, asked_at) = claim_in_time(&*log, send, event, owner, length, made).await?;
            if outcome == ClaimOutcome::Processed {
                frame.refuse_nested_duplicate(&id)?;
            }
            Ok((id, frame, owner, outcome, asked_at))
        };
        match acquired.await {
            Ok((event_id, frame, owner, ClaimOutcome::Acquired { token }, asked_at)) => {
                let lease = Arc::new(Lease {
                    log,
                    event_id,
                    held: Ownership { owner, token },
                    length,
                    running: Running::new(frame, delivery),
                    start: asked_at,
                    holds_for: AtomicU64::new(millis(length)),
                });
                Claimed::Run(Guard { lease, stage: Stage::Undelivered, loss: None })
            }
            Ok((event_id, frame, _, ClaimOutcome::Processed, _)) => {
                steps::refused(Refusal::Duplicate);
                Claimed::Processed(Seen { event_id, frame, delivery })
            }
            Ok((event_id, frame, _, ClaimOutcome::InProgress { retry_after }, _)) => {
                steps::refused(Refusal::InProgress);
                delivery.in_progress(retry_after, frame.event);
                observed::in_progress(retry_after);
                Claimed::Failed(Error::InProgress { event_id, retry_after })
            }
            Err(error) => {
                delivery.failed(&error);
                Claimed::Failed(error)
            }
        }
    }
}

impl Guard {
    /// A guard over an event that was acquired in another way than by [`claim`]: by the inbox, which takes many at
    /// once. `asked_at` is the moment before the request was sent.
    #[cfg(feature = "inbox")]
    pub(crate) fn over(
        log: Arc<dyn ClaimLog>,
        event_id: String,
        held: Ownership,
        length: Duration,
        asked_at: Instant,
        running: Running,
    ) -> Self {
        let length = length.min(MAX_LEASE);
        let holds_for = AtomicU64::new(millis(length));
        let lease = Lease { log, event_id, held, length, running, start: asked_at, holds_for };
        Self { lease: Arc::new(lease), stage: Stage::Undelivered, loss: None }
    }

    /// When the lease ends, on this machine's clock.
    #[cfg(feature = "inbox")]
    pub(crate) fn holds_until(&self) -> Instant {
        self.lease.until()
    }

    /// The caller settles the event.
    #[cfg(feature = "inbox")]
    pub(crate) fn disarm(&mut self) {
        self.stage = Stage::Settled;
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.lease.running.delivery
    }

    /// The handle that the body gets.
    pub fn claim(&self) -> Claim {
        Claim::new(Arc::clone(&self.lease))
    }

    /// Traces that the body begins.
    pub fn trace_first(&self) {
        let running = &self.lease.running;
        running.delivery.begun(Some(self.lease.held.token), running.frame.event);
    }

    /// Runs the body, and renews the lease meanwhile.
    ///
    /// Returns `None` if the lease is lost. The body is not polled after that, and the caller drops it.
    pub async fn run<F: Future>(&mut self, mut body: Pin<&mut F>) -> Option<F::Output> {
        self.stage = Stage::Running;
        let lease = &self.lease;
        let running = &lease.running;
        let loss = &mut self.loss;
        let mut renewal = Handle::try_current()
            .ok()
            .filter(outlives_a_blocked_thread)
            .map(|runtime| Renewal::start(lease, runtime));
        let mut is_first_poll = true;
        poll_fn(|context| {
            // Before each further poll we check the lease, because the task may not have run for a while.
            if !std::mem::take(&mut is_first_poll) {
                let by_renewal = renewal.as_ref().and_then(|renewal| renewal.loss(context.waker()));
                *loss = by_renewal
                    .or_else(|| (Instant::now() >= lease.until()).then_some(Loss::NotRenewed(None)));
                if loss.is_some() {
                    return Poll::Ready(None);
                }
            }
            if let Poll::Ready(output) = running.enter(|| body.as_mut().poll(context)) {
                return Poll::Ready(Some(output));
            }
            if renewal.is_none()
                && let Ok(runtime) = Handle::try_current()
            {
                renewal = Some(Renewal::start(lease, runtime));
            }
            *loss = renewal.as_ref().and_then(|renewal| renewal.loss(context.waker()));
            if loss.is_some() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// Asks the user's code about a reply, so that a panic in it counts as one.
    pub fn enter<T>(&self, users_code: impl FnOnce() -> T) -> T {
        self.lease.running.enter(users_code)
    }

    /// Completes the event, or releases it because of a failure.
    ///
    /// If the future is dropped, it finishes in the background.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if another delivery has taken the event over, [`Error::Store`] if the event could
    /// not be completed.
    pub fn settle(self, failure: Option<Failure>) -> impl Future<Output = Result<(), Error>> {
        let lease = Arc::clone(&self.lease);
        let is_failed = failure.is_some();
        self.settle_by(failure, async move {
            if is_failed { lease.release().await } else { lease.complete().await }
        })
    }

    /// As [`settle`](Self::settle), with what completes the event, or releases it because of a failure.
    pub(crate) fn settle_by(
        mut self,
        failure: Option<Failure>,
        settling: impl Future<Output = Result<bool, Error>> + Send + 'static,
    ) -> impl Future<Output = Result<(), Error>> {
        let is_completion = failure.is_none();
        // One allocation instead of a part of the handler's future.
        let settled = DetachOnDrop::new(async move {
            self.stage = Stage::Settled;
            if let Some(failure) = failure {
                self.delivery().released(NO_SUCCESS, &failure);
                // If the release fails, the lease ends by itself. The reply is a failure in either case.
                drop(settling.await);
                return Ok(());
            }
            match settling.await {
                Ok(true) => {
                    self.delivery().completed();
                    Ok(())
                }
                Ok(false) => {
                    self.loss = Some(Loss::NotHeld);
                    Err(self.lost())
                }
                Err(error) => {
                    self.delivery().failed(&error);
                    Err(error)
                }
            }
        });
        let settled = if is_completion { observed::completes(settled) } else { Some(settled) };
        async move {
            match settled {
                Some(settled) => settled.await,
                None => Ok(()),
            }
        }
    }

    /// The key of the claimed event.
    #[cfg(feature = "replay")]
    pub(crate) fn event_id(&self) -> &str {
        &self.lease.event_id
    }

    /// The proof of the claim.
    #[cfg(feature = "replay")]
    pub(crate) fn held(&self) -> Ownership {
        self.lease.held
    }

    /// Ends the claim without settling it, because another delivery may have the event.
    pub fn lost(mut self) -> Error {
        self.stage = Stage::Settled;
        let (reason, cause) = match self.loss.take() {
            Some(Loss::NotRenewed(Some(error))) => ("the store did not renew the lease in time", Some(error)),
            Some(Loss::NotHeld) => (
                "the log no longer has this claim: another delivery took it over, or it was settled by hand",
                None,
            ),
            Some(Loss::NotRenewed(None)) | None => {
                ("not renewed in time: the thread was blocked, or the process did not run", None)
            }
        };
        self.delivery().lease_lost(reason, cause.as_ref());
        let source = cause.map(Into::into);
        Error::LeaseLost { event_id: self.lease.event_id.clone(), source }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let undelivered = match self.stage {
            Stage::Undelivered => true,
            Stage::Running => false,
            Stage::Settled => return,
        };
        if undelivered {
            self.delivery().withdrawn();
        } else {
            let reason = self.lease.running.interruption().as_str();
            self.delivery().released(reason, &Failure::default());
        }
        if let Ok(runtime) = Handle::try_current() {
            let lease = Arc::clone(&self.lease);
            runtime.spawn(give_back(lease, undelivered));
        }
    }
}

/// Gives back an event whose delivery was dropped. If the store cannot be reached, we try again until the
/// lease ends. After that the event is free anyway.
async fn give_back(lease: Arc<Lease>, undelivered: bool) {
    loop {
        let given_back = if undelivered { lease.withdraw().await } else { lease.release().await };
        let next = Instant::now() + lease.length / 10;
        if given_back.is_ok() || next >= lease.until() {
            return;
        }
        sleep_until(next).await;
    }
}
