//! The calls of a log by the guarantees, as steps. The kit for handlers, in [`testing`](crate::testing), makes a step
//! yield and fail as a case tells. Without the feature a step is the call itself.

#[cfg(feature = "testing")]
pub(crate) mod failing;
#[cfg(feature = "testing")]
pub(crate) mod told;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
#[cfg(not(feature = "testing"))]
use std::time::Duration;

#[cfg(feature = "testing")]
pub(crate) use self::told::{boxed, lease, refused, step};
use crate::error::Error;

/// A call of a log.
///
/// [`FailingLog`](crate::testing::FailingLog) makes one fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, rustdoc::broken_intra_doc_links))]
#[non_exhaustive]
pub enum Step {
    /// The fence's mark: [`ProcessedEventLog::try_mark_event`](crate::ProcessedEventLog::try_mark_event), or
    /// `try_mark_processed`.
    Mark,
    /// [`ClaimLog::claim`](crate::ClaimLog::claim).
    Claim,
    /// [`ClaimLog::renew`](crate::ClaimLog::renew).
    Renew,
    /// [`ClaimLog::complete`](crate::ClaimLog::complete). A claim with `replay` calls
    #[cfg_attr(feature = "replay", doc = "[`CompleteWithReply`](Self::CompleteWithReply)")]
    #[cfg_attr(not(feature = "replay"), doc = "`CompleteWithReply`")]
    /// instead.
    Complete,
    /// [`ClaimLog::release`](crate::ClaimLog::release).
    Release,
    /// [`ClaimLog::withdraw`](crate::ClaimLog::withdraw).
    Withdraw,
    /// [`TransactionalLog::begin`](crate::TransactionalLog::begin).
    Begin,
    /// [`TransactionalLog::try_mark_in`](crate::TransactionalLog::try_mark_in).
    MarkInTransaction,
    /// [`TransactionalLog::commit`](crate::TransactionalLog::commit).
    Commit,
    /// [`TransactionalLog::rollback`](crate::TransactionalLog::rollback).
    Rollback,
    /// [`ReplayLog::kept_reply`](crate::replay::ReplayLog::kept_reply).
    #[cfg(feature = "replay")]
    ReadReply,
    /// [`ReplayLog::complete_with_reply`](crate::replay::ReplayLog::complete_with_reply).
    #[cfg(feature = "replay")]
    CompleteWithReply,
    /// [`TransactionalReplayLog::keep_in`](crate::replay::TransactionalReplayLog::keep_in).
    #[cfg(feature = "replay")]
    KeepInTransaction,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Mark => "try_mark_event",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Release => "release",
            Self::Withdraw => "withdraw",
            Self::Begin => "begin",
            Self::MarkInTransaction => "try_mark_in",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            #[cfg(feature = "replay")]
            Self::ReadReply => "kept_reply",
            #[cfg(feature = "replay")]
            Self::CompleteWithReply => "complete_with_reply",
            #[cfg(feature = "replay")]
            Self::KeepInTransaction => "keep_in",
        })
    }
}

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn step<F>(_: Step, call: F) -> F {
    call
}

#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn boxed<T>(_: Step, call: Boxed<'_, T>) -> Boxed<'_, T> {
    call
}

/// Why a delivery does not get the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Duplicate,
    InProgress,
}

#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn refused(_: Refusal) {}

/// The length of a lease that is asked for.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn lease(length: Duration) -> Duration {
    length
}
