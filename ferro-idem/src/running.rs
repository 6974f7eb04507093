//! A delivery whose body runs: its place in the stack of handlers, and its span.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::delivery::Delivery;
use crate::nesting::Frame;
use crate::trace::Interruption;

/// The frame and the span of a body that has begun.
pub struct Running {
    pub(crate) frame: Frame,
    pub(crate) delivery: Delivery,
    /// It stays so after a panic. `std::thread::panicking` is also true for a body that is dropped while it
    /// waits, by a panic elsewhere.
    is_in_users_code: AtomicBool,
}

impl Running {
    pub(crate) fn new(frame: Frame, delivery: Delivery) -> Self {
        Self { frame, delivery, is_in_users_code: AtomicBool::new(false) }
    }

    /// Runs the user's code within the delivery's span.
    pub(crate) fn enter<T>(&self, users_code: impl FnOnce() -> T) -> T {
        self.is_in_users_code.store(true, Ordering::Relaxed);
        let returned = self.frame.enter(|| self.delivery.enter(users_code));
        self.is_in_users_code.store(false, Ordering::Relaxed);
        returned
    }

    /// Runs the body within the delivery's span.
    pub(crate) async fn run<F: Future>(&self, mut body: Pin<&mut F>) -> F::Output {
        poll_fn(|context| self.enter(|| body.as_mut().poll(context))).await
    }

    /// Why the body is being dropped.
    pub(crate) fn interruption(&self) -> Interruption {
        Interruption::of(self.is_in_users_code.load(Ordering::Relaxed))
    }
}
