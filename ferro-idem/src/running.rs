//! A delivery whose body runs: its place in the stack of handlers, and its span.

use std::future::{Future, poll_fn};
use std::pin::Pin;

use crate::delivery::Delivery;
use crate::nesting::Frame;

/// The frame and the span of a body that has begun.
pub struct Running {
    pub(crate) frame: Frame,
    pub(crate) delivery: Delivery,
}

impl Running {
    /// Polls the body within the delivery's span.
    pub(crate) fn enter<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.frame.enter(|| self.delivery.enter(poll))
    }

    /// Runs the body within the delivery's span.
    pub(crate) async fn run<F: Future>(&self, mut body: Pin<&mut F>) -> F::Output {
        poll_fn(|context| self.enter(|| body.as_mut().poll(context))).await
    }
}
