//! What can go wrong between a delivery and its fence.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::Duration;

use crate::claim::MIN_LEASE;
use crate::event::InvalidEventId;

/// Why a delivery is not settled: answer with an error, so that the sender delivers again. Under a claim or a
/// transaction the event is not lost by it; for a fence, see [`Store`](Error::Store).
///
/// | variant | over axum | the body | what helps |
/// |---|---|---|---|
/// | [`InProgress`](Error::InProgress) | 409, `Retry-After` | did not run | another delivery, later |
/// | [`Store`](Error::Store) | 503 | did not run, or its commit is in doubt | another delivery, later |
/// | [`LeaseLost`](Error::LeaseLost) | 409 | was stopped | another delivery has the event |
/// | [`LeaseTooShort`](Error::LeaseTooShort) | 500 | did not run | a longer `lease` in the attribute |
/// | [`InvalidEventId`](Error::InvalidEventId) | 400 | did not run | nothing: the delivery can never be fenced |
///
/// Messages never hold a secret or a payload. A [`Store`](Error::Store) message may name a
/// table or a database file: it is for your log, and the reply over axum leaves it out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store behind the log could not be asked, or did not answer.
    ///
    /// Whether the event was marked is then unknown: answer the sender with an error, so that
    /// it delivers again.
    ///
    /// A fence promises at most once. Its mark may be there although nothing ran: a log in a SQL database takes
    /// it back, so that the next delivery runs. Where that fails too, because the store stays away for longer
    /// than it is tried (10 seconds), the process ends, or the log cannot tell whose the mark is, the event
    /// counts as seen, and is lost.
    #[error("could not {operation}: {advice}")]
    #[non_exhaustive]
    Store {
        /// What was attempted, to be read after "could not".
        operation: Cow<'static, str>,
        /// What to do about it.
        advice: Cow<'static, str>,
        /// What the store's driver said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// Another delivery of the event is running. It is not known yet whether it will succeed, so this
    /// one is not a duplicate.
    #[error("another delivery of the event is running: deliver it again in {}s", retry_after.as_secs_f32().ceil())]
    #[non_exhaustive]
    InProgress {
        /// The key.
        event_id: String,
        /// When the other one's lease ends, if it is not renewed.
        retry_after: Duration,
    },

    /// The lease ended while the body ran, and could not be renewed: the body was stopped, because
    /// another delivery may have the event.
    #[error(
        "the lease on the event was lost: the store could not be reached in time, or this process stood still"
    )]
    #[non_exhaustive]
    LeaseLost {
        /// The key.
        event_id: String,
    },

    /// A lease that cannot be renewed in time.
    #[error("a lease of {lease:?} is too short to be renewed: use {MIN_LEASE:?} or more")]
    #[non_exhaustive]
    LeaseTooShort {
        /// What was asked for.
        lease: Duration,
    },

    /// The id cannot be a key in every store, so no store is asked.
    #[error("the event cannot be fenced: {reason}")]
    #[non_exhaustive]
    InvalidEventId {
        /// What is wrong with the id.
        reason: InvalidEventId,
    },
}

impl Error {
    /// An [`Error::Store`] for a log of your own.
    ///
    /// `operation` is read after "could not": `"mark the event as processed"`.
    ///
    /// ```
    /// # use ferro_idem::Error;
    /// let lost = std::io::Error::other("connection reset");
    /// let error = Error::store("mark the event as processed", lost);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "could not mark the event as processed: the store failed, answer with an error so that \
    ///      the sender delivers again",
    /// );
    /// ```
    pub fn store(
        operation: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Store {
            operation: operation.into(),
            advice: "the store failed, answer with an error so that the sender delivers again".into(),
            source: source.into(),
        }
    }
}

impl From<InvalidEventId> for Error {
    fn from(reason: InvalidEventId) -> Self {
        Self::InvalidEventId { reason }
    }
}
