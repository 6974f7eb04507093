//! Futures that finish in the background if they are dropped.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that always runs to its end after its first poll. If it is dropped before, it continues in the
/// background, and its output is dropped there.
///
/// hyper drops a handler if the client hangs up, which must not leave a claim or a commit in doubt. The
/// wrapper costs nothing unless it is dropped. Outside a tokio runtime nothing can run in the background, so
/// dropping it there ends it.
pub struct DetachOnDrop<T: Send + 'static> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    phase: Phase,
}

thread_local! {
    static IS_DETACHED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the future that is being polled was dropped by its caller. A request that has not been sent yet is
/// not sent then, because no caller waits for it. Otherwise such requests would pile up during an outage.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
pub(crate) fn is_detached() -> bool {
    IS_DETACHED.get()
}

/// Marks the thread as polling a detached future, for one poll.
pub(crate) struct Detached {
    before: bool,
}

impl Detached {
    pub(crate) fn enter() -> Self {
        Self { before: IS_DETACHED.replace(true) }
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        IS_DETACHED.set(self.before);
    }
}

#[derive(PartialEq, Eq)]
enum Phase {
    Waiting,
    Begun,
    Finished,
}

impl<T: Send + 'static> DetachOnDrop<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Box::pin(future), phase: Phase::Waiting }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.phase = Phase::Begun;
        let polled = self.future.as_mut().poll(context);
        if polled.is_ready() {
            self.phase = Phase::Finished;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for DetachOnDrop<T> {
    fn drop(&mut self) {
        if self.phase == Phase::Begun
            && let Ok(runtime) = Handle::try_current()
        {
            let mut future = std::mem::replace(&mut self.future, Box::pin(std::future::pending()));
            runtime.spawn(poll_fn(move |context| {
                let _detached = Detached::enter();
                future.as_mut().poll(context).map(drop)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::sync::oneshot;

    use super::*;

    /// Asks, and answers when it is told to.
    fn asking() -> (DetachOnDrop<()>, oneshot::Sender<()>, oneshot::Receiver<()>) {
        let ((answer, answered), (finish, finished)) = (oneshot::channel::<()>(), oneshot::channel());
        let asking = async move {
            if answered.await.is_ok() {
                finish.send(()).unwrap();
            }
        };
        (DetachOnDrop::new(asking), answer, finished)
    }

    #[tokio::test]
    async fn what_was_begun_is_finished_when_it_is_dropped() {
        let (mut asking, answer, finished) = asking();
        assert!(poll!(&mut asking).is_pending());
        drop(asking);
        answer.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_not_begun_never_is() {
        let (asking, answer, finished) = asking();
        drop(asking);
        assert!(answer.send(()).is_err());
        assert!(finished.await.is_err());
    }

    #[tokio::test]
    async fn what_is_finished_is_not_run_again() {
        let (asking, answer, finished) = asking();
        answer.send(()).unwrap();
        asking.await;
        finished.await.unwrap();
    }
}
