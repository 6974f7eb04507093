//! What the attribute expands to calls of. Not for users: it changes without notice.

use std::ops::DerefMut;
use std::time::Duration;

pub use std::option::Option::{None, Some};
pub use std::pin::pin;
pub use std::result::Result::{Err, Ok};
pub use std::string::String;

pub use crate::claim::{DEFAULT_LEASE, claim};
use crate::claim::{Guard, MIN_LEASE};
pub use crate::entry::Entry;
use crate::error::Error;
pub use crate::fence::fence;
pub use crate::key::{event, event_id, scoped};
use crate::reply::{DuplicateReply, FromFenceError, Outcome, Settle};
use crate::transaction::Open;
pub use crate::transaction::begin;

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

/// Decides whether a reply settles its event: by `Settle` where the type has it, by its variant for any
/// other `Result` or `Outcome`. `(&&&Probe(&reply)).rule()` takes the first rule that fits: the lookup takes one
/// reference off after the other, and each rule is implemented for one less.
pub struct Probe<'a, R>(pub &'a R);

pub struct AskSettle;
pub struct AskVariant;

/// In a module, for the expansion to import all.
pub mod rules {
    use super::{AskSettle, AskVariant, Probe, Settle, SucceedsByVariant};

    pub trait RuleOfSettle {
        #[inline]
        fn rule(&self) -> AskSettle {
            AskSettle
        }
    }

    pub trait RuleOfVariant {
        #[inline]
        fn rule(&self) -> AskVariant {
            AskVariant
        }
    }

    /// Fits everything, and then asks for `Settle`: that error says how to go on.
    pub trait RuleOfTheRest {
        #[inline]
        fn rule(&self) -> AskSettle {
            AskSettle
        }
    }

    impl<R: Settle> RuleOfSettle for &&Probe<'_, R> {}
    impl<R: SucceedsByVariant> RuleOfVariant for &Probe<'_, R> {}
    impl<R> RuleOfTheRest for Probe<'_, R> {}
}

impl AskSettle {
    #[inline]
    pub fn is_processed<R: Settle>(self, reply: &R) -> bool {
        reply.is_processed()
    }
}

impl AskVariant {
    #[inline]
    pub fn is_processed<R: SucceedsByVariant>(self, reply: &R) -> bool {
        reply.succeeds()
    }
}

/// A reply that tells by its variant, whatever it holds.
pub trait SucceedsByVariant {
    fn succeeds(&self) -> bool;
}

impl<T, E> SucceedsByVariant for Result<T, E> {
    #[inline]
    fn succeeds(&self) -> bool {
        self.is_ok()
    }
}

impl<T> SucceedsByVariant for Outcome<T> {
    #[inline]
    fn succeeds(&self) -> bool {
        true
    }
}

/// Settles by the reply of a body that ran under a claim; without one, the lease was lost.
pub async fn settle_claim<R>(
    guard: Guard,
    reply: Option<R>,
    is_processed: impl FnOnce(&R) -> bool,
) -> Result<R, Error> {
    match reply {
        Some(reply) => guard.settle(is_processed(&reply)).await.map(|()| reply),
        None => Err(guard.lost()),
    }
}

/// Settles by the reply of a body that ran in a transaction.
pub async fn settle_transaction<T: DerefMut + Send + 'static, R>(
    open: Open<T>,
    reply: R,
    is_processed: impl FnOnce(&R) -> bool,
) -> Result<R, Error> {
    open.settle(is_processed(&reply)).await?;
    Ok(reply)
}
