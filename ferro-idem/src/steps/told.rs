//! What the case that runs on this thread tells the steps.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::failing::{Fails, failing};
use super::{Boxed, Refusal, Step};
use crate::error::Error;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is under way.
    Open,
    Ok,
    Failed,
    Refused(Refusal),
    /// It failed because the case told it to.
    Told(Fails),
    /// Its caller was dropped.
    Dropped,
}

/// A step, and the delivery that made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) delivery: usize,
    pub(crate) step: Step,
    pub(crate) end: End,
}

/// What a case tells, and what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) seen: Vec<Seen>,
    /// The delivery that is polled, counted from 1.
    pub(crate) delivery: usize,
    /// How often a delivery was polled.
    pub(crate) polls: usize,
    /// The position of the step that fails.
    pub(crate) fault: Option<(usize, Fails)>,
    pub(crate) lease: Option<Duration>,
    /// The process of the delivery is as if it were stopped: nothing renews its lease.
    pub(crate) renews_nothing: bool,
    /// How many steps are under way.
    pub(crate) open: usize,
    /// The test does something between deliveries.
    pub(crate) is_outside: bool,
    /// The messages of deliveries that panicked by themselves.
    pub(crate) panics: Vec<String>,
}

thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

/// Tells the steps of this thread, until the returned value is dropped.
#[must_use]
pub(crate) fn tell(plan: Plan) -> Told {
    PLAN.set(Some(plan));
    Told
}

pub(crate) struct Told;

impl Told {
    /// The default only within another call of this.
    #[expect(clippy::unused_self, reason = "there is a plan as long as this exists")]
    pub(crate) fn with<T: Default>(&self, look: impl FnOnce(&mut Plan) -> T) -> T {
        with(look).unwrap_or_default()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        PLAN.set(None);
    }
}

fn with<T>(look: impl FnOnce(&mut Plan) -> T) -> Option<T> {
    PLAN.with(|plan| plan.try_borrow_mut().ok()?.as_mut().map(look))
}

/// The delivery that is polled does not get the event.
pub(crate) fn refused(refusal: Refusal) {
    with(|plan| {
        let delivery = plan.delivery;
        let asks = |step| matches!(step, Step::Mark | Step::Claim | Step::MarkInTransaction);
        if let Some(seen) = plan.seen.iter_mut().rfind(|seen| seen.delivery == delivery && asks(seen.step)) {
            seen.end = End::Refused(refusal);
        }
    });
}

/// The length of a lease that is asked for.
pub(crate) fn lease(length: Duration) -> Duration {
    with(|plan| plan.lease).flatten().unwrap_or(length)
}

pub(crate) fn boxed<'a, T: Send + 'a>(step: Step, call: Boxed<'a, T>) -> Boxed<'a, T> {
    match with(|_| ()) {
        Some(()) => Box::pin(self::step(step, call)),
        None => call,
    }
}

/// Yields before the call and after it, so that a delivery can be dropped there although its log never waits.
pub(crate) async fn step<T>(step: Step, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let Some((mut open, fails)) = Open::new(step) else { return call.await };
    yield_once().await;
    let answered = async {
        let result = call.await;
        yield_once().await;
        result
    };
    match failing(step, fails, answered).await {
        Ok(result) => {
            open.end(if result.is_ok() { End::Ok } else { End::Failed });
            result
        }
        Err(told) => {
            open.end(fails.map_or(End::Failed, End::Told));
            Err(told)
        }
    }
}

/// A step that is under way, or was dropped.
struct Open(usize);

impl Open {
    fn new(step: Step) -> Option<(Self, Option<Fails>)> {
        with(|plan| {
            let position = plan.seen.len();
            plan.open += 1;
            plan.seen.push(Seen { delivery: plan.delivery, step, end: End::Open });
            let told = plan.fault.and_then(|(at, fails)| (at == position).then_some(fails));
            let stopped = (step == Step::Renew && plan.renews_nothing).then_some(Fails::BeforeEffect);
            (Self(position), told.or(stopped))
        })
    }

    fn end(&mut self, end: End) {
        with(|plan| {
            if let Some(seen) = plan.seen.get_mut(self.0)
                && seen.end == End::Open
            {
                seen.end = end;
                plan.open = plan.open.saturating_sub(1);
            }
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
