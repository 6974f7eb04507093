//! A delivery whose client hangs up.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// More than any log has awaits in one call.
pub(super) const MOST_POLLS: usize = 24;

/// Polls `future` each time it wakes, `polls` times at most, and drops it there. One that never
/// wakes is only to be polled once.
///
/// `Some` where it was ready before that. For a future with N awaits that were pending, 0 to N
/// drops it at each of them.
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
