//! Work of a group in the background that ends although its runtime is not driven.
//!
//! A runtime of one thread runs tasks only while somebody blocks on it. A task that it keeps would hold its events and
//! its share of the statements for as long. So the work rests in a place that callers of other runtimes reach, and
//! they drop it if it is not polled. What it has at the database goes back into the queue then.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::clock::{Ticks, in_background, now};

/// How often work is polled, also if nothing happens to it.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Work that was not polled for so long has a runtime that is not driven.
const MAX_UNPOLLED: Duration = Duration::from_secs(5);

/// No runtime lives for so long.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

type WorkFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The work of one group.
#[derive(Default)]
pub(super) struct Background(Mutex<Vec<Weak<Work>>>);

struct Work(Mutex<State>);

enum State {
    AtRest {
        future: WorkFuture,
        since: Instant,
    },
    Polled,
    /// It has ended, or was dropped by a caller.
    Over,
}

impl Work {
    /// A panic cannot leave it half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_up(&self) -> Option<WorkFuture> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Polled) {
            State::AtRest { future, .. } => Some(future),
            other => {
                *state = other;
                None
            }
        }
    }

    fn take_stuck(&self, now: Instant) -> Option<WorkFuture> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Over) {
            State::AtRest { future, since } if now.saturating_duration_since(since) >= MAX_UNPOLLED => {
                Some(future)
            }
            other => {
                *state = other;
                None
            }
        }
    }
}

impl Background {
    fn locked(&self) -> MutexGuard<'_, Vec<Weak<Work>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn run(&self, future: impl Future<Output = ()> + Send + 'static) {
        let work = Arc::new(Work(Mutex::new(State::AtRest { future: Box::pin(future), since: now() })));
        {
            let mut all = self.locked();
            all.retain(|other| other.strong_count() > 0);
            all.push(Arc::downgrade(&work));
        }
        in_background(drive(work));
    }

    /// Drops what is not polled.
    pub(super) fn drop_stuck(&self) {
        let all: Vec<_> = self.locked().iter().filter_map(Weak::upgrade).collect();
        for work in all {
            // Outside of the locks.
            drop(work.take_stuck(now()));
        }
    }
}

async fn drive(work: Arc<Work>) {
    let mut ticks = Ticks::new(POLL_EVERY, now() + FOR_EVER);
    poll_fn(|context| {
        let Some(mut future) = work.take_up() else { return Poll::Ready(()) };
        let polled = future.as_mut().poll(context);
        *work.state() = match polled {
            Poll::Ready(()) => State::Over,
            Poll::Pending => State::AtRest { future, since: now() },
        };
        let _ticked = ticks.poll(context);
        polled
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use shuttle::future::{block_on, yield_now};

    use super::super::clock::{Runtimes, begin, tick};
    use super::*;

    const ORDERS: usize = 200;

    /// Whether work that never ends still holds what it had after a while.
    async fn still_holds() -> bool {
        let background = Background::default();
        let held = Arc::new(());
        let of_work = Arc::clone(&held);
        background.run(async move {
            pending::<()>().await;
            drop(of_work);
        });
        // Longer than a task of a runtime that stops is polled, and than work may be unpolled after that.
        for _ in 0..16 {
            for _ in 0..20 {
                yield_now().await;
            }
            tick();
            background.drop_stuck();
        }
        Arc::strong_count(&held) > 1
    }

    #[test]
    fn a_runtime_that_stopped_keeps_nothing() {
        for (runtimes, expected) in [(Runtimes::Stop, false), (Runtimes::Run, true)] {
            let order = move || {
                begin(runtimes);
                assert_eq!(block_on(still_holds()), expected, "{runtimes:?}");
            };
            shuttle::check_random(order, ORDERS);
        }
    }
}
