//! What can go wrong between a delivery and its fence.

use std::borrow::Cow;
use std::error::Error as StdError;

use crate::event::InvalidEventId;

/// Why a fence could not be checked. The handler's body has not run.
///
/// | variant | over axum | what the sender does |
/// |---|---|---|
/// | [`Store`](Error::Store) | 503 | delivers again later |
/// | [`InvalidEventId`](Error::InvalidEventId) | 400 | gives up after its retries: the delivery can never be fenced |
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
