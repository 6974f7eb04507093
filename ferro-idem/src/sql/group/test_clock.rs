//! Time, tasks and runtimes as the tests of group commit want them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::future::spawn;
use shuttle::rand::{Rng, thread_rng};
use tokio::time::Instant;

use super::interleavings::drop_after;

pub(super) type RuntimeId = u8;

/// What may happen to the task of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtimes {
    Run,
    ShutDown,
    /// They are not driven any more.
    Stop,
}

thread_local! {
    /// Shuttle runs all tasks of an order on one thread.
    static RUNTIMES: Cell<Runtimes> = const { Cell::new(Runtimes::Run) };
    static EPOCH: Instant = Instant::now();
    static TICKS: Cell<u32> = const { Cell::new(0) };
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

const TICK: Duration = Duration::from_secs(1);

pub(super) fn begin(runtimes: Runtimes) {
    RUNTIMES.set(runtimes);
    TICKS.set(0);
    WAKERS.take();
}

/// Time passes for the tasks that wait.
pub(super) fn tick() {
    TICKS.set(TICKS.get() + 1);
    WAKERS.take().into_iter().for_each(Waker::wake);
}

pub(super) fn now() -> Instant {
    EPOCH.with(|epoch| *epoch) + TICK * TICKS.get()
}

pub(super) async fn pause(_: Duration) {
    shuttle::future::yield_now().await;
}

/// Any work may be slow.
pub(super) async fn in_time<F: Future + Unpin>(_: Duration, work: &mut F) -> Option<F::Output> {
    let polls = thread_rng().gen_range(2..8);
    drop_after(polls, work).await
}

#[expect(clippy::unnecessary_wraps, reason = "a caller can be outside of a runtime")]
pub(super) fn current_runtime() -> Option<RuntimeId> {
    Some(thread_rng().gen_range(0..2))
}

pub(super) fn is_driven_by_callers() -> bool {
    thread_rng().gen_bool(0.5)
}

pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    let polls = thread_rng().gen_range(0..8);
    match RUNTIMES.get() {
        Runtimes::Run => drop(spawn(work)),
        Runtimes::ShutDown if polls == 0 => drop(work),
        Runtimes::ShutDown => drop(spawn(drop_after(polls, work))),
        // A leak, as a runtime that is kept and not driven.
        Runtimes::Stop => {
            drop(spawn(async move {
                let mut work = Box::pin(work);
                if drop_after(polls + 1, work.as_mut()).await.is_none() {
                    std::mem::forget(work);
                }
            }));
        }
    }
}

/// A tick of [`tick`].
pub(super) struct Ticks(u32);

impl Ticks {
    pub(super) fn new(_: Duration, _: Instant) -> Self {
        Self(TICKS.get())
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        WAKERS.with_borrow_mut(|wakers| wakers.push(context.waker().clone()));
        if self.0 == TICKS.get() {
            return Poll::Pending;
        }
        self.0 = TICKS.get();
        Poll::Ready(())
    }
}
