//! Drops futures half-way, as a hang-up of the client does.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// More than the number of awaits in one call of any log.
pub(super) const MAX_POLLS: usize = 24;

/// Polls `future` each time it wakes, at most `polls` times, and then drops it. A future that never wakes may
/// only be polled once.
///
/// Returns `Some` if the future was ready before that. If a future has N pending awaits, calls with 0 to N
/// polls drop it at each of them.
pub async fn drop_after_polls<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
