//! Time, tasks and runtimes, as group commit uses them. Its tests bring their own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio::time::{Instant, Sleep, sleep_until};

pub(super) type RuntimeId = Id;

pub(super) fn now() -> Instant {
    Instant::now()
}

pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// The output, if it comes in this time.
pub(super) async fn in_time<F: Future + Unpin>(time: Duration, work: &mut F) -> Option<F::Output> {
    tokio::time::timeout(time, work).await.ok()
}

pub(super) fn current_runtime() -> Option<RuntimeId> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

/// Whether this runtime runs tasks only while a caller of it waits.
pub(super) fn is_driven_by_callers() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

/// Runs without being waited for. Outside of a runtime the work is dropped. The queue must not be locked here,
/// because a runtime that shuts down drops the work at once.
pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

/// Wakes a caller at regular times, and at its deadline. No timer is made for a caller that is answered at once.
pub(super) struct Ticks {
    every: Duration,
    deadline: Instant,
    next: Option<Pin<Box<Sleep>>>,
}

impl Ticks {
    pub(super) fn new(every: Duration, deadline: Instant) -> Self {
        Self { every, deadline, next: None }
    }

    /// Ready at each tick. The next one is registered.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let next_tick =
            if now < self.deadline { self.deadline.min(now + self.every) } else { now + self.every };
        let next = self.next.get_or_insert_with(|| Box::pin(sleep_until(next_tick)));
        let ticked = next.as_mut().poll(context);
        if ticked.is_ready() {
            next.as_mut().reset(next_tick);
            let _registered = next.as_mut().poll(context);
        }
        ticked
    }
}
