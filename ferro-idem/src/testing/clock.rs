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
/// How far the paused clock moves on then, so that a handler that sleeps wakes up.
const LEAP: Duration = Duration::from_millis(50);
/// A case takes at most this long on the real clock.
const LIMIT: Duration = Duration::from_secs(30);

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

    /// Runs the future for a bounded time. `progress` changes while something happens.
    pub(super) fn run<T>(
        &self,
        progress: impl Fn() -> usize,
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
    progress: impl Fn() -> usize,
    future: impl Future<Output = Result<T, TooLong>>,
) -> Result<T, TooLong> {
    let mut future = pin!(future);
    let begin = Instant::now();
    loop {
        let before = progress();
        let mut patience = tokio::task::spawn_blocking(|| thread::sleep(PATIENCE));
        let ended = poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut patience).poll(context).map(|_| None)
        });
        match ended.await {
            Some(output) => return output,
            None if begin.elapsed() > LIMIT => return Err(TooLong),
            None if progress() == before => tokio::time::advance(LEAP).await,
            None => {}
        }
    }
}
