//! What the attribute expands to calls of. Not for users: it changes without notice.

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

/// Calls `on_error`. The bound is what lets a closure leave its argument's type out.
#[inline]
pub fn error_reply_by<R, F: FnOnce(Error) -> R>(on_error: F, error: Error) -> R {
    on_error(error)
}

/// Whether a lease can be renewed, for leases that are known at compile time.
pub const fn checked_lease(lease: Duration) -> Duration {
    assert!(
        lease.as_nanos() >= MIN_LEASE.as_nanos(),
        "the lease is too short to be renewed: use 500 ms or more"
    );
    lease
}

/// Runs the body under its claim, and settles by its reply. The body is dropped before that, and as
/// soon as the lease is lost.
///
/// Not an `async fn`: that would hold each argument twice.
#[allow(clippy::manual_async_fn)]
pub fn run_claimed<F: Future<Output = R>, R>(
    guard: Guard,
    body: Pin<Box<F>>,
    is_processed: impl FnOnce(&mut R) -> bool,
) -> impl Future<Output = Result<R, Error>> {
    async move {
        // Dropped half-way, the body goes before the claim is released.
        let mut guard = guard;
        let mut body = body;
        // Whatever of the reply is alive across the next `await` is in the future once more.
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
/// Not an `async fn`, as [`run_claimed`].
#[allow(clippy::manual_async_fn)]
pub fn run_in_transaction<F: Future>(
    running: &Running,
    mut body: Pin<Box<F>>,
) -> impl Future<Output = F::Output> {
    async move { running.run(body.as_mut()).await }
}

/// Commits or rolls back by the reply of the body.
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
