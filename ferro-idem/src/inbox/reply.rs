//! What a worker's handler returns.

use std::fmt::Display;
use std::time::Duration;

use crate::error::Error;
use crate::reply::{HttpFailure, Outcome, Settle};

/// A return type of a worker's handler.
///
/// [`Settle`] says whether the event is processed, as for a claim or a transaction. If it is not, [`failure`] says why,
/// and the inbox delivers the event again.
///
/// Implemented for every `Result` whose error implements `Display`; for `()` and [`Outcome`]; and for the responses of
/// axum, actix-web and poem under the features of these names. A handler whose error is not `Display` can return a
/// response: `handler(event).await.into_response()`. The application's own replies implement the trait, and may leave
/// [`failure`] out:
///
/// [`failure`]: Self::failure
///
/// ```
/// use ferro_idem::Settle;
/// use ferro_idem::inbox::{Failure, Reply};
///
/// enum Ack {
///     Done,
///     Again,
/// }
///
/// impl Settle for Ack {
///     fn is_processed(&self) -> bool {
///         matches!(self, Self::Done)
///     }
/// }
///
/// impl Reply for Ack {
///     fn failure(&self) -> Failure {
///         Failure::new("the bank is closed")
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say why an event was not processed",
    label = "the inbox keeps the last error of an event",
    note = "return a `Result` of `()`, a status or a response, whose error implements `Display`",
    note = "or return a response: `handler(event).await.into_response()`",
    note = "or implement `ferro_idem::inbox::Reply` for a type of your own"
)]
pub trait Reply: Settle {
    /// Why the event was not processed. Called only if it was not.
    fn failure(&self) -> Failure {
        Failure::of_status(self.http_failure())
    }
}

/// Why an event was not processed, and when to deliver it again.
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::inbox::Failure;
///
/// let failure = Failure::new("the bank is closed").with_retry_after(Duration::from_secs(600));
/// assert_eq!(failure.error(), "the bank is closed");
/// assert_eq!(failure.retry_after(), Some(Duration::from_secs(600)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    error: String,
    retry_after: Option<Duration>,
}

impl Failure {
    /// A failure with this text. It is stored beside the event, cut to 1,000 bytes. It must not hold the payload
    /// of the event, because it is kept and shown longer than that.
    pub fn new(error: impl Display) -> Self {
        Self { error: error.to_string(), retry_after: None }
    }

    /// Delivers the event again after this time, instead of the time of the inbox's
    /// [`Backoff`](crate::inbox::Backoff).
    #[must_use]
    pub fn with_retry_after(self, retry_after: impl Into<Option<Duration>>) -> Self {
        Self { retry_after: retry_after.into(), ..self }
    }

    /// The text.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// When to deliver the event again, if the reply says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn of_status(http: Option<HttpFailure>) -> Self {
        match http {
            Some(HttpFailure { status, retry_after }) => {
                Self::new(format_args!("the handler answered {status}")).with_retry_after(retry_after)
            }
            None => Self::new("the handler's reply was not a success"),
        }
    }
}

impl Reply for () {}

impl<T: Settle> Reply for Outcome<T> {}

#[diagnostic::do_not_recommend]
impl Reply for Error {
    fn failure(&self) -> Failure {
        Failure::new(self).with_retry_after(self.retry_after())
    }
}

impl<T: Settle, E: Display> Reply for Result<T, E> {
    fn failure(&self) -> Failure {
        match self {
            Ok(_) => Failure::of_status(self.http_failure()),
            Err(error) => Failure::new(error),
        }
    }
}

#[cfg(any(feature = "axum", feature = "poem"))]
impl Reply for http::StatusCode {}

/// By its status and its `Retry-After`.
#[cfg(any(feature = "axum", feature = "poem"))]
impl<B> Reply for http::Response<B> {}

/// By its status and its `Retry-After`.
#[cfg(feature = "actix-web")]
impl<B> Reply for actix_web::HttpResponse<B> {}

/// By its status and its `Retry-After`.
#[cfg(feature = "poem")]
impl Reply for poem::Response {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_text() {
        let failed: Result<(), &str> = Err("the bank is closed");
        assert_eq!(failed.failure(), Failure::new("the bank is closed"));
        let busy = Error::in_progress("evt_1", Duration::from_secs(30));
        assert_eq!(busy.failure().retry_after(), Some(Duration::from_secs(30)));
        assert_eq!(Ok::<_, &str>(busy).failure().retry_after(), Some(Duration::from_secs(30)));
    }

    #[cfg(feature = "axum")]
    #[test]
    fn a_response_is_its_status_and_its_retry_after() {
        use axum::http::StatusCode;
        use axum::http::header::RETRY_AFTER;
        use axum::response::IntoResponse;

        let response = (StatusCode::BAD_GATEWAY, [(RETRY_AFTER, "30")], "the bank is closed").into_response();
        let failure = Failure::new("the handler answered 502").with_retry_after(Duration::from_secs(30));
        assert_eq!(response.failure(), failure);
        assert_eq!(Ok::<_, &str>(response).failure(), failure);
        let status = Ok::<_, &str>((StatusCode::BAD_GATEWAY, "closed"));
        assert_eq!(status.failure(), Failure::new("the handler answered 502"));
        assert_eq!(StatusCode::CONFLICT.failure().error(), "the handler answered 409");
    }
}
