//! The functions that the attribute's expansion calls. They are not for users, and change without notice.

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;
use std::time::Duration;

pub use std::boxed::Box;
pub use std::option::Option::{None, Some};
pub use std::primitive::bool;
pub use std::result::Result::{Err, Ok};
pub use std::string::String;

pub use crate::claim::Guard;
pub use crate::claim::claim;
pub use crate::entry::Entry;
use crate::error::Error;
pub use crate::fence::fence;
pub use crate::key::{IdProbe, OwnedKey, event, ids, owned, scoped};
pub use crate::lease_length::DEFAULT_LEASE;
use crate::lease_length::MIN_LEASE;
pub use crate::processed::{Probe, is_processed_by, rules};
use crate::reply::{DuplicateReply, FromFenceError};
use crate::running::Running;
pub use crate::transaction::{OpenTransaction, begin};

#[inline]
pub fn duplicate_reply<R: DuplicateReply>() -> R {
    R::duplicate_reply()
}

#[inline]
pub fn error_reply<R: FromFenceError>(error: Error) -> R {
    R::from_fence_error(error)
}

/// Calls `on_error`. Because of the bound, a closure need not name its argument's type.
#[inline]
pub fn error_reply_by<R, F: FnOnce(Error) -> R>(on_error: F, error: Error) -> R {
    on_error(error)
}

/// Checks at compile time whether a constant lease is long enough to be renewed.
pub const fn checked_lease(lease: Duration) -> Duration {
    assert!(
        lease.as_nanos() >= MIN_LEASE.as_nanos(),
        "the lease is too short to be renewed: use 500 ms or more"
    );
    lease
}

/// Runs the body under its claim, and settles by the reply. The body is dropped before the claim is settled,
/// and as soon as the lease is lost.
///
/// An `async fn` would store each argument twice.
#[allow(clippy::manual_async_fn)]
pub fn run_claimed<F: Future<Output = R>, R>(
    guard: Guard,
    body: Pin<Box<F>>,
    is_processed: impl FnOnce(&mut R) -> bool,
) -> impl Future<Output = Result<R, Error>> {
    async move {
        // If this future is dropped, the body is dropped before the claim is released.
        let mut guard = guard;
        let mut body = body;
        // A part of the reply that lives across the next `await` would be stored in the future a second time.
        let (mut outcome, guard) = {
            let replied = guard.run(body.as_mut()).await;
            drop(body);
            match replied {
                Some(reply) => (Ok(reply), Some(guard)),
                None => (Err(guard.lost()), None),
            }
        };
        if let (Ok(reply), Some(guard)) = (&mut outcome, guard) {
            let is_processed = is_processed(reply);
            guard.settle(is_processed).await?;
        }
        outcome
    }
}

/// Runs the body within the delivery's span, and drops it.
///
/// Not an `async fn`, for the same reason as [`run_claimed`].
#[allow(clippy::manual_async_fn)]
pub fn run_in_transaction<F: Future>(
    running: &Running,
    mut body: Pin<Box<F>>,
) -> impl Future<Output = F::Output> {
    async move { running.run(body.as_mut()).await }
}

/// Commits or rolls back, depending on the body's reply.
pub fn settle_transaction<T: DerefMut + Send + 'static, R>(
    open: OpenTransaction<T>,
    mut reply: R,
    is_processed: impl FnOnce(&mut R) -> bool,
) -> impl Future<Output = Result<R, Error>> {
    let settling = open.settle(is_processed(&mut reply));
    async move {
        settling.await?;
        Ok(reply)
    }
}
