//! Futures that are finished whoever drops them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that, once it was begun, is finished: dropped half-way, it goes on in a task of its own,
/// and what it returns is dropped there.
///
/// hyper drops a handler when the client hangs up; a claim or a commit that is on its way to the
/// store must not be left in doubt for that. Costs nothing on the way that is not dropped.
/// Outside of a tokio runtime there is no task to be had, and dropping it drops it.
pub struct SeeThrough<T: Send + 'static> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    phase: Phase,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Waiting,
    Begun,
    Finished,
}

impl<T: Send + 'static> SeeThrough<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Box::pin(future), phase: Phase::Waiting }
    }
}

impl<T: Send + 'static> Future for SeeThrough<T> {
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

impl<T: Send + 'static> Drop for SeeThrough<T> {
    fn drop(&mut self) {
        if self.phase == Phase::Begun
            && let Ok(runtime) = Handle::try_current()
        {
            let future = std::mem::replace(&mut self.future, Box::pin(std::future::pending()));
            runtime.spawn(async move { drop(future.await) });
        }
    }
}
