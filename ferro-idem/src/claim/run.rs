//! Runs a body under its claim.

use std::future::Future;
use std::pin::Pin;

use super::guard::Guard;
use crate::error::Error;
use crate::reply::failure::Failure;

/// Runs the body under its claim, and settles by the reply. `failure` says what to tell about a reply that is
/// not processed. The body is dropped before the claim is settled,
/// and as soon as the lease is lost.
///
/// An `async fn` would store each argument twice.
///
/// # Errors
///
/// If the lease was lost, or the claim cannot be completed or released.
#[allow(clippy::manual_async_fn)]
pub fn run_claimed<F: Future<Output = R>, R>(
    guard: Guard,
    body: Pin<Box<F>>,
    is_processed: impl FnOnce(&R) -> bool,
    failure: impl FnOnce(&R) -> Failure,
) -> impl Future<Output = Result<R, Error>> {
    async move {
        // If this future is dropped, the body is dropped before the claim is released.
        let mut guard = guard;
        let mut body = body;
        // A part of the reply that lives across the next `await` would be stored in the future a second time.
        let (outcome, guard) = {
            guard.trace_first();
            let replied = guard.run(body.as_mut()).await;
            drop(body);
            match replied {
                Some(reply) => (Ok(reply), Some(guard)),
                None => (Err(guard.lost()), None),
            }
        };
        // This borrow ends before the next `await`, because a response of axum is not `Sync`.
        let failure = match (&outcome, &guard) {
            (Ok(reply), Some(guard)) => guard.enter(|| (!is_processed(reply)).then(|| failure(reply))),
            _ => None,
        };
        if let Some(guard) = guard {
            guard.settle(failure).await?;
        }
        outcome
    }
}
