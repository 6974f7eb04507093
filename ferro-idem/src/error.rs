//! Why a delivery was not processed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::Duration;

use crate::event::InvalidEventId;
use crate::lease_length::MIN_LEASE;

/// Why a delivery was not processed. Answer the sender with an error, so that it delivers the event again.
///
/// Under a claim or a transaction, no event is lost by answering so. For a fence, see [`Store`](Error::Store).
///
/// | variant | [`status`](Error::status) | the body | what helps |
/// |---|---|---|---|
/// | [`InProgress`](Error::InProgress) | 409, [`retry_after`](Error::retry_after) | did not run | another delivery, later |
/// | [`Store`](Error::Store) | 503 | did not run, or its commit is in doubt | another delivery, later |
/// | [`LeaseLost`](Error::LeaseLost) | 409 | was stopped, or its completion was refused | another delivery, later |
/// | [`LeaseTooShort`](Error::LeaseTooShort) | 500 | did not run | a longer `lease` in the attribute |
/// | [`Nested`](Error::Nested) | 500 | did not run | a `scope` for one of the two handlers |
/// | [`InvalidEventId`](Error::InvalidEventId) | 400 | did not run | nothing: the delivery can never be processed |
/// | [`Mismatch`](Error::Mismatch) | 422 | did not run | a new key for a new request |
/// | [`ReplyGone`](Error::ReplyGone) | 410 | did not run: the event is processed | nothing: the reply is no longer kept |
/// | [`ReplyNotKept`](Error::ReplyNotKept) | 500 | its effects were rolled back, or its claim released | another reply type, or a smaller reply |
/// | [`ReplyUnreadable`](Error::ReplyUnreadable) | 500 | did not run: the event is processed | the version that wrote the reply |
///
/// The last four come only from handlers with `replay`.
///
/// Messages never hold a secret or a payload. A [`Store`](Error::Store) message may name a
/// table or a database file. It belongs in your log; the reply over axum leaves it out.
///
/// Outside axum, build the reply from [`status`](Self::status) and [`retry_after`](Self::retry_after):
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::Error;
///
/// /// The status and the `Retry-After` header of any framework's response.
/// fn reply(error: &Error) -> (u16, Option<String>) {
///     let seconds = error.retry_after().map(|wait| wait.as_secs_f64().ceil().max(1.0));
///     (error.status(), seconds.map(|seconds| seconds.to_string()))
/// }
///
/// let error = Error::in_progress("evt_1", Duration::from_millis(1_500));
/// assert_eq!(reply(&error), (409, Some("2".to_owned())));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store behind the log could not be reached, did not answer in time, or refused the request.
    ///
    /// It is unknown whether the event was marked. Answer the sender with an error, so that it delivers again.
    ///
    /// Under a fence, the mark may exist although no body has run. The logs for SQL databases and for Redis
    /// take such a mark back, so that the next delivery runs. The event is lost if that fails as well: if the
    /// store stays away, if the process ends, or if a log of your own does not store owners.
    #[error("could not {operation}: {advice}")]
    #[non_exhaustive]
    Store {
        /// The operation. It completes the sentence "could not ..".
        operation: Cow<'static, str>,
        /// How to fix it.
        advice: Cow<'static, str>,
        /// The error of the store's driver.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// Another delivery of the event is running. It is not known yet whether it will succeed, so this
    /// one is not a duplicate.
    #[error("another delivery of the event is running: deliver it again in {}s", whole_seconds(*retry_after))]
    #[non_exhaustive]
    InProgress {
        /// The key.
        event_id: String,
        /// When the lease of the other delivery ends, unless it is renewed.
        retry_after: Duration,
    },

    /// The lease ended before the event was completed, so another delivery may have the event.
    ///
    /// The body was stopped, or it had already returned and its completion was refused.
    #[error("the lease on the event was lost before the handler was done: another delivery may run it")]
    #[non_exhaustive]
    LeaseLost {
        /// The key.
        event_id: String,
        /// Why the lease could not be renewed. `None` if another delivery has taken the event over, or if this
        /// process did not run for longer than the lease.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },

    /// The lease is too short to be renewed in time.
    #[error("a lease of {lease:?} is too short to be renewed: use {MIN_LEASE:?} or more")]
    #[non_exhaustive]
    LeaseTooShort {
        /// The lease that was asked for.
        lease: Duration,
    },

    /// A handler called another annotated handler for the same event, over the same log and without a `scope`.
    ///
    /// The inner handler could never run, because the outer handler already holds the event. If the outer
    /// handler is a fence, two handlers that one task joins count as nested as well: the second one would be a
    /// duplicate of the first.
    #[error(
        "`{inner}` was called by `{outer}` for the same event and log, so it would never run: give one of them \
         a `scope`, or call a function without `#[idempotent_webhook]`"
    )]
    #[non_exhaustive]
    Nested {
        /// The key.
        event_id: String,
        /// The handler that holds the event, as its module's path and its name: `shop::ship`.
        outer: &'static str,
        /// The handler that was refused.
        inner: &'static str,
    },

    /// The id cannot be a key in every store, so the log is not called.
    #[error("the event cannot be fenced: {reason}")]
    #[non_exhaustive]
    InvalidEventId {
        /// What is wrong with the id.
        reason: InvalidEventId,
    },

    /// The key was used before, by a request with another fingerprint. Only with `replay` and `fingerprint`.
    #[error(
        "the idempotency key was used for another request: send the same request again, or use a new key"
    )]
    #[non_exhaustive]
    Mismatch {
        /// The key.
        event_id: String,
    },

    /// The event is processed, and there is no reply to replay: it has expired, or the event was processed without
    /// `replay`.
    ///
    /// A handler with `on_duplicate` answers with that instead. A worker of the inbox, which reads no reply, gets
    /// [`DuplicateReply`](crate::DuplicateReply) of the return type if there is one.
    #[error("the request was processed before, and its reply is no longer kept")]
    #[non_exhaustive]
    ReplyGone {
        /// The key.
        event_id: String,
    },

    /// The body's reply cannot be kept. The event is not processed: the transaction was rolled back, or the claim was
    /// released.
    #[error("the handler's reply cannot be kept for replay: {reason}")]
    #[non_exhaustive]
    ReplyNotKept {
        /// The key.
        event_id: String,
        /// What is wrong with the reply.
        reason: Cow<'static, str>,
    },

    /// The event is processed, and its reply was kept by a newer version of this crate, or as a reply of another type.
    #[error("the request was processed before, and its reply cannot be read: {reason}")]
    #[non_exhaustive]
    ReplyUnreadable {
        /// The key.
        event_id: String,
        /// What is wrong with the kept reply.
        reason: Cow<'static, str>,
    },
}

impl Error {
    /// Creates an [`Error::Store`], for a log of your own.
    ///
    /// `operation` completes the sentence "could not ..": `"mark the event as processed"`.
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

    /// Creates an [`Error::InProgress`], for tests of the code that handles it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ferro_idem::Error;
    /// let error = Error::in_progress("evt_1", Duration::from_secs(30));
    /// assert_eq!(error.status(), 409);
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    /// ```
    pub fn in_progress(event_id: impl Into<String>, retry_after: Duration) -> Self {
        Self::InProgress { event_id: event_id.into(), retry_after }
    }

    /// Creates an [`Error::LeaseLost`] without a cause, for tests of the code that handles it.
    ///
    /// ```
    /// # use ferro_idem::Error;
    /// assert!(Error::lease_lost("evt_1").is_retryable());
    /// ```
    pub fn lease_lost(event_id: impl Into<String>) -> Self {
        Self::LeaseLost { event_id: event_id.into(), source: None }
    }

    /// The HTTP status to answer with, by the table in [`Error`].
    ///
    /// The status is never a 2xx, so that the sender delivers again.
    ///
    /// ```
    /// # use ferro_idem::Error;
    /// assert_eq!(Error::store("mark the event", std::io::Error::other("gone")).status(), 503);
    /// ```
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidEventId { .. } => 400,
            Self::InProgress { .. } | Self::LeaseLost { .. } => 409,
            Self::ReplyGone { .. } => 410,
            Self::Mismatch { .. } => 422,
            Self::LeaseTooShort { .. }
            | Self::Nested { .. }
            | Self::ReplyNotKept { .. }
            | Self::ReplyUnreadable { .. } => 500,
            Self::Store { .. } => 503,
        }
    }

    /// How long the sender should wait before it delivers again, if that is known.
    ///
    /// This is the time that the other delivery's lease has left. In a `Retry-After` header, round it up to
    /// whole seconds ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
    ///
    /// ```
    /// # use ferro_idem::Error;
    /// assert_eq!(Error::lease_lost("evt_1").retry_after(), None);
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether a later delivery of the same event can succeed without a change to the code or the event.
    ///
    /// ```
    /// # use ferro_idem::{Error, EventRef};
    /// let error = Error::from(EventRef::new("").unwrap_err());
    /// assert!(!error.is_retryable(), "an event without an id never gets one");
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::InProgress { .. } | Self::LeaseLost { .. } | Self::Store { .. } => true,
            Self::InvalidEventId { .. }
            | Self::LeaseTooShort { .. }
            | Self::Mismatch { .. }
            | Self::Nested { .. }
            | Self::ReplyGone { .. }
            | Self::ReplyNotKept { .. }
            | Self::ReplyUnreadable { .. } => false,
        }
    }
}

/// Rounded up, so that a lease has ended by then.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

impl From<InvalidEventId> for Error {
    fn from(reason: InvalidEventId) -> Self {
        Self::InvalidEventId { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each variant, its status, whether it says when to retry, and whether a retry helps.
    #[test]
    fn an_error_says_its_status_when_to_retry_and_whether_it_helps() {
        let invalid = || Error::from(InvalidEventId::Empty);
        let nested = Error::Nested { event_id: "evt_1".into(), outer: "shop::ship", inner: "shop::mail" };
        let minute = Duration::from_mins(1);
        for (error, status, retry_after, is_retryable) in [
            (Error::in_progress("evt_1", minute), 409, Some(minute), true),
            (Error::lease_lost("evt_1"), 409, None, true),
            (Error::store("mark", "gone"), 503, None, true),
            (Error::LeaseTooShort { lease: Duration::ZERO }, 500, None, false),
            (nested, 500, None, false),
            (Error::Mismatch { event_id: "key_1".into() }, 422, None, false),
            (Error::ReplyGone { event_id: "key_1".into() }, 410, None, false),
            (Error::ReplyNotKept { event_id: "key_1".into(), reason: "too large".into() }, 500, None, false),
            (Error::ReplyUnreadable { event_id: "key_1".into(), reason: "newer".into() }, 500, None, false),
            (invalid(), 400, None, false),
        ] {
            let told = (error.status(), error.retry_after(), error.is_retryable());
            assert_eq!(told, (status, retry_after, is_retryable), "{error}");
        }
    }

    #[test]
    fn an_error_tells_any_wait() {
        assert!(
            Error::in_progress("evt_1", Duration::MAX).to_string().ends_with(" in 18446744073709551615s")
        );
        assert!(Error::in_progress("evt_1", Duration::from_nanos(1)).to_string().ends_with(" in 1s"));
    }

    #[test]
    fn a_lost_lease_keeps_its_cause() {
        let source = Some(Box::from(Error::store("renew the lease", "connection reset")));
        let error = Error::LeaseLost { event_id: "evt_1".into(), source };
        let cause = StdError::source(&error).unwrap();
        assert!(cause.to_string().contains("renew the lease"), "{cause}");
        assert!(StdError::source(&Error::lease_lost("evt_1")).is_none());
    }
}
