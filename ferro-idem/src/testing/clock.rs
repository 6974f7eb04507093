//! A runtime whose clock stands still, although databases work on threads of their own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// How long nothing may happen on the real clock before the paused one moves on.
const PATIENCE: Duration = Duration::from_millis(20);
/// The same while a call of the log is under way: how often we look whether it has ended.
const TICK: Duration = Duration::from_millis(1);
/// How far the paused clock moves on at once, so that a handler that sleeps wakes up. A lease is renewed in between.
const LEAP: Duration = Duration::from_millis(50);
/// How many leaps follow each other at most. They double as long as nothing happens.
const MAX_LEAPS: u32 = 256;
/// On a busy machine, a thread of a database runs as late as ours, several times for each request.
const TURNS_OF_A_DATABASE: u32 = 8;
/// What a leap wakes has run after so many turns, if it waits for no database.
const TURNS: usize = 8;
/// A case takes at most this long on the real clock.
const LIMIT: Duration = Duration::from_secs(30);
/// A case takes at most this long on the paused clock. A database may take a third of the limit on the real one
/// meanwhile.
const PAUSED_LIMIT: Duration = Duration::from_hours(1);

/// What changes while something happens.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) polls: usize,
    /// How many calls of the log are under way.
    pub(super) open_calls: usize,
    /// No delivery is under way: the test prepares its subject, or counts effects.
    pub(super) is_outside: bool,
}

/// A case took too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooLong;

pub(super) struct StoppedClock {
    runtime: Option<Runtime>,
    /// tokio moves a paused clock to the next timer as soon as its own tasks are idle, even if a database is still
    /// working. It does not do that while a blocking task runs. This ends that task.
    _held: Sender<()>,
}

impl StoppedClock {
    pub(super) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let (held, ended) = channel::<()>();
        runtime.spawn_blocking(move || ended.recv());
        Ok(Self { runtime: Some(runtime), _held: held })
    }

    /// Runs the future for a bounded time.
    pub(super) fn run<T>(
        &self,
        progress: impl Fn() -> Progress,
        future: impl Future<Output = Result<T, TooLong>>,
    ) -> Result<T, TooLong> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(patiently(progress, future)),
            None => Err(TooLong),
        }
    }
}

impl Drop for StoppedClock {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn patiently<T>(
    progress: impl Fn() -> Progress,
    future: impl Future<Output = Result<T, TooLong>>,
) -> Result<T, TooLong> {
    let mut future = pin!(future);
    let (begin, paused_begin) = (Instant::now(), tokio::time::Instant::now());
    let (mut leaps, mut quiet_since) = (1, begin);
    loop {
        let before = progress();
        let tick = if before.open_calls > 0 { TICK } else { PATIENCE };
        let tick_began = Instant::now();
        let mut ticking = tokio::task::spawn_blocking(move || thread::sleep(tick));
        let ended = poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut ticking).poll(context).map(|_| None)
        });
        if let Some(output) = ended.await {
            return output;
        }
        let elapsed = begin.elapsed();
        if elapsed > LIMIT || elapsed > LIMIT / 3 && paused_begin.elapsed() > PAUSED_LIMIT {
            return Err(TooLong);
        }
        let after = progress();
        if after.is_outside {
            // Nothing there is under test, so a database takes the time that it needs.
            tokio::time::advance(tick).await;
            continue;
        }
        if after.polls != before.polls {
            (leaps, quiet_since) = (1, Instant::now());
            continue;
        }
        let late = tick_began.elapsed().saturating_sub(tick);
        // A renewal is under way for a moment, which is no reason to begin with short leaps again.
        if quiet_since.elapsed() < PATIENCE.max(late * TURNS_OF_A_DATABASE) {
            continue;
        }
        for _ in 0..leaps {
            tokio::time::advance(LEAP).await;
            if let Some(output) = turns(future.as_mut()).await {
                return output;
            }
            if progress() != after {
                break;
            }
        }
        (leaps, quiet_since) = ((leaps * 2).min(MAX_LEAPS), Instant::now());
    }
}

/// Lets the future and the tasks in the background run, as far as they need no other thread.
async fn turns<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    for _ in 0..TURNS {
        if let Some(output) = at_once(future.as_mut()).await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// The output, if it is ready at the first poll.
pub(super) async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
