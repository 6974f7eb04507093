//! One run of the handler for one event, from the lease to what becomes of the event.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::claims::{Learned, Prepared};
use super::held::HeldEvent;
use super::queue::Queue;
use super::settings::Settings;
use super::verdict::{Ended, Verdict, verdict};
use crate::claim::Guard;
use crate::delivery::Delivery;
use crate::error::Error;
use crate::event::EventRef;
use crate::inbox::delivery::Taken;
use crate::inbox::last_error::storable;
use crate::inbox::reply::{Failure, Reply};
use crate::inbox::stored::Stored;
use crate::nesting::Frame;
use crate::observed::Observed;
use crate::running::Running;
use crate::sender::Sender;
use crate::trace::Origin;

/// What all attempts of a worker share.
pub(super) struct Work<S, F> {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) sender: Arc<S>,
    pub(super) handler: F,
    pub(super) location: &'static Location<'static>,
    pub(super) settings: Settings,
    pub(super) learned: Learned,
}

/// What an attempt leaves to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing that this attempt knows of.
    Waits,
    /// The event itself, after this time.
    After(Duration),
    /// The next event of its order key.
    OfKey,
}

impl Next {
    fn of(due_in: Option<Duration>, has_order: bool) -> Self {
        match due_in {
            Some(due_in) => Self::After(due_in),
            None if has_order => Self::OfKey,
            None => Self::Waits,
        }
    }
}

/// The table holds events of another sender.
#[derive(Debug, thiserror::Error)]
#[error(
    "the inbox of `{ours}` holds an event of `{theirs}`: give each sender an inbox of its own, by `with_table`"
)]
struct OtherSender {
    ours: &'static str,
    theirs: String,
}

impl<S, F, Fut, R> Work<S, F>
where
    S: Sender,
    F: Fn(S::Event) -> Fut,
    Fut: Future<Output = R>,
    R: Reply,
{
    /// Runs the handler, unless the lease has become too short, and settles the event.
    ///
    /// The slot is given back as soon as the handler has ended, so that settling does not keep the next one waiting.
    ///
    /// # Errors
    ///
    /// If the worker cannot go on at all.
    pub(super) async fn attempt(
        self: Arc<Self>,
        Prepared { taken, claim }: Prepared,
        slot: OwnedSemaphorePermit,
        stop: watch::Receiver<bool>,
    ) -> Result<Next, Error> {
        let observed = Observed::new(Arc::clone(&taken.held.event_id), claim);
        let lease = self.settings.lease;
        let event = self.held(&taken);
        // A body must not begin under a lease that may end before it can be renewed: another worker would run it too.
        if taken.lease_until.saturating_duration_since(Instant::now()) < lease / 2 {
            drop(slot);
            observed.withdraw_claim().await;
            // If this fails, the lease ends by itself.
            drop(event.queue.release(&event.held).await);
            return Ok(Next::Waits);
        }
        let decoded = match catch_unwind(AssertUnwindSafe(|| self.decode(&taken))) {
            Ok(Err(Unreadable::OtherSender(error))) => {
                observed.withdraw_claim().await;
                drop(event.queue.release(&event.held).await);
                return Err(Error::store("read the inbox", error));
            }
            Ok(Err(Unreadable::Event(reason))) => Err(reason),
            Ok(Ok(event)) => Ok(event),
            Err(panic) => Err(format!("the sender's `decode` panicked: {}", text_of(&*panic))),
        };
        let key = EventRef::new(&taken.held.event_id).ok();
        let delivery = Delivery::new(
            "inbox",
            Origin::Worker(self.location),
            key.map(|key| key.with_type(taken.event_type.as_str())),
        );
        let running = Running::new(Frame::outside(), delivery);
        running.delivery.begun(Some(u64::from(taken.attempts)), running.frame.event);
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(reason) => {
                drop(slot);
                let error = storable(&format!("the event cannot be read: {reason}"));
                let verdict = Verdict::Park { error };
                settle(&event, &running.delivery, verdict, taken.attempts, taken.lease_until).await;
                return Ok(Next::of(None, taken.order_key.is_some()));
            }
        };
        let (held, attempts) = (taken.held.ownership, taken.attempts);
        let asked_at = taken.lease_until.checked_sub(lease).unwrap_or(taken.lease_until);
        let event_id = taken.held.event_id.to_string();
        let has_order = taken.order_key.is_some();
        drop(taken);
        let mut guard = Guard::over(Arc::new(event.clone()), event_id, held, lease, asked_at, running);
        let running = self.run(decoded, slot, &observed, stop);
        let ended = guard.run(pin!(running)).await;
        self.learned.run_ended(observed.pattern());
        // Before the event is delivered again: its handler would find it in progress.
        observed.withdraw_claim().await;
        let Some(ended) = ended else {
            // Logged. Another worker has the event, or gets it.
            drop(guard.lost());
            return Ok(Next::Waits);
        };
        let verdict = verdict(ended, &observed, attempts, held.token, &self.settings);
        let due_in = verdict.due_in();
        guard.disarm();
        settle(&event, guard.delivery(), verdict, attempts, guard.holds_until()).await;
        Ok(Next::of(due_in, has_order))
    }

    fn held(&self, taken: &Taken) -> HeldEvent {
        // After the time limit, the lease has to outlast the moment in which the body is stopped.
        let renewed_until = Instant::now() + self.settings.time_limit + self.settings.lease;
        HeldEvent { queue: Arc::clone(&self.queue), held: taken.held.clone(), renewed_until }
    }

    fn decode(&self, taken: &Taken) -> Result<S::Event, Unreadable> {
        let stored = Stored::decode(&taken.stored).map_err(|error| Unreadable::Event(error.to_string()))?;
        if stored.sender != S::NAME {
            let theirs = stored.sender.to_owned();
            return Err(Unreadable::OtherSender(OtherSender { ours: S::NAME, theirs }));
        }
        self.sender.decode(&stored.delivery()).map_err(|error| Unreadable::Event(error.to_string()))
    }

    /// Runs the handler, and completes its claims after it has given its slot back.
    async fn run(
        &self,
        event: S::Event,
        slot: OwnedSemaphorePermit,
        observed: &Arc<Observed>,
        stop: watch::Receiver<bool>,
    ) -> Ended {
        let ended = self.handle(event, observed, stop).await;
        drop(slot);
        match observed.completed().await {
            Err(error) if matches!(ended, Ended::Processed) => {
                Ended::Failed(Failure::new(&error).with_retry_after(error.retry_after()))
            }
            _ => ended,
        }
    }

    /// The handler's future is dropped at the end.
    async fn handle(
        &self,
        event: S::Event,
        observed: &Arc<Observed>,
        mut stop: watch::Receiver<bool>,
    ) -> Ended {
        let mut handler = pin!(async { (self.handler)(event).await });
        let limit = self.settings.time_limit;
        let mut limited = pin!(sleep(limit));
        let mut stopped = pin!(async move {
            // If the sender of the signal is gone, the worker was dropped, and this task with it.
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                observed.during(|| handler.as_mut().poll(context).map(|reply| Ended::of(&reply)))
            }));
            match polled {
                Ok(Poll::Ready(ended)) => return Poll::Ready(ended),
                Err(panic) => {
                    let error = format!("the handler panicked: {}", text_of(&*panic));
                    return Poll::Ready(Ended::Failed(Failure::new(error)));
                }
                Ok(Poll::Pending) => {}
            }
            if is_ready(limited.as_mut(), context) {
                let error = format!("the handler did not return within {limit:?}");
                return Poll::Ready(Ended::Failed(Failure::new(error)));
            }
            if is_ready(stopped.as_mut(), context) {
                return Poll::Ready(Ended::Stopped);
            }
            Poll::Pending
        })
        .await
    }
}

enum Unreadable {
    OtherSender(OtherSender),
    Event(String),
}

fn is_ready<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> bool {
    future.poll(context).is_ready()
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// Settles the event. If the store cannot be reached, we try again until the lease ends: after that, another worker
/// has the event.
async fn settle(
    event: &HeldEvent,
    delivery: &Delivery,
    verdict: Verdict,
    attempt: u32,
    holds_until: Instant,
) {
    let HeldEvent { queue, held, .. } = event;
    loop {
        let settled = match &verdict {
            Verdict::Complete | Verdict::CompleteAsSeen => queue.complete(held).await,
            Verdict::BackOff { after, error } => queue.back_off(held, *after, error).await,
            Verdict::Park { error } => queue.park(held, error).await,
            Verdict::Release => queue.release(held).await,
        };
        match settled {
            Ok(true) => break,
            Ok(false) => return delivery.lease_lost("taken over by another worker", None),
            Err(error) => {
                let left = holds_until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return delivery.failed(&error);
                }
                sleep_until(Instant::now() + (left / 10).max(Duration::from_millis(10))).await;
            }
        }
    }
    match verdict {
        Verdict::Complete => delivery.completed(),
        Verdict::CompleteAsSeen => delivery.completed_as_seen(),
        Verdict::BackOff { after, error } => delivery.retried(attempt, after, &error),
        Verdict::Park { error } => delivery.parked(attempt, &error),
        Verdict::Release => delivery.withdrawn(),
    }
}
