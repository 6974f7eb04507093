//! Replies, rejections and the extractor for axum.

#[cfg(feature = "sender")]
pub(crate) mod sender;
mod settle;

use axum::Json;
use axum::body::Bytes;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, NoContent, Response};

use crate::error::Error;
use crate::event::WebhookEvent;
use crate::key::IdBytes;
use crate::reply::{DuplicateReply, FromFenceError, Outcome};

/// The event that the extractor holds.
impl<T: WebhookEvent> WebhookEvent for Json<T> {
    fn event_id(&self) -> &str {
        self.0.event_id()
    }

    fn event_type(&self) -> Option<&str> {
        self.0.event_type()
    }
}

/// `event_id = headers.get("x-delivery-id")`.
impl IdBytes for HeaderValue {
    fn id_bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl IdBytes for Bytes {
    fn id_bytes(&self) -> &[u8] {
        self
    }
}

/// The status of the table in [`Error`].
impl From<&Error> for StatusCode {
    fn from(error: &Error) -> Self {
        Self::from_u16(error.status()).unwrap_or(Self::INTERNAL_SERVER_ERROR)
    }
}

/// For handlers that return `Result<_, StatusCode>`.
///
/// ```
/// use axum::http::StatusCode;
/// use ferro_idem::{MemoryProcessedLog, idempotent_webhook};
///
/// #[idempotent_webhook]
/// async fn ship(log: &MemoryProcessedLog, event: &str) -> Result<StatusCode, StatusCode> {
///     Ok(StatusCode::CREATED)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let log = MemoryProcessedLog::new();
/// assert_eq!(ship(&log, "evt_1").await, Ok(StatusCode::CREATED));
/// assert_eq!(ship(&log, "").await, Err(StatusCode::BAD_REQUEST));
/// # }
/// ```
impl From<Error> for StatusCode {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// For handlers that return `Result<_, Response>`: the reply of [`Error::into_response`].
impl From<Error> for Response {
    fn from(error: Error) -> Self {
        error.into_response()
    }
}

/// For handlers that return `Result<_, (StatusCode, String)>`: the status and the line for the sender,
/// without `Retry-After`.
impl From<Error> for (StatusCode, String) {
    fn from(error: Error) -> Self {
        (StatusCode::from(&error), line_for_the_sender(&error))
    }
}

/// The status, a line for the sender, and `Retry-After` while another delivery is running. The line does
/// not name the store: log the error.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let reply = (StatusCode::from(&self), line_for_the_sender(&self));
        let retry_after = self.retry_after().map(|wait| {
            // Whole seconds (RFC 9110, 10.2.3), and never before the lease ends.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            [(RETRY_AFTER, seconds.max(1).to_string())]
        });
        (retry_after, reply).into_response()
    }
}

fn line_for_the_sender(error: &Error) -> String {
    match error {
        Error::Store { .. } => "the event could not be recorded, deliver it again later".to_owned(),
        _ => error.to_string(),
    }
}

impl DuplicateReply for StatusCode {
    fn duplicate_reply() -> Self {
        Self::OK
    }
}

impl DuplicateReply for Response {
    fn duplicate_reply() -> Self {
        StatusCode::OK.into_response()
    }
}

/// An empty 204.
impl DuplicateReply for NoContent {
    fn duplicate_reply() -> Self {
        Self
    }
}

impl FromFenceError for StatusCode {
    fn from_fence_error(error: Error) -> Self {
        Self::from(&error)
    }
}

impl FromFenceError for Response {
    fn from_fence_error(error: Error) -> Self {
        error.into_response()
    }
}

/// A duplicate is an empty 200.
impl<T: IntoResponse> IntoResponse for Outcome<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Processed(value) => value.into_response(),
            Self::Duplicate => StatusCode::OK.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::InvalidEventId;

    fn in_progress(retry_after: Duration) -> Response {
        Error::in_progress("evt_1", retry_after).into_response()
    }

    #[test]
    fn every_error_has_its_status() {
        for (error, status) in [
            (Error::store("mark", "no answer"), 503),
            (Error::in_progress("evt_1", Duration::ZERO), 409),
            (Error::lease_lost("evt_1"), 409),
            (Error::LeaseTooShort { lease: Duration::ZERO }, 500),
            (Error::from(InvalidEventId::Empty), 400),
        ] {
            assert_eq!(StatusCode::from(&error), status);
            assert_eq!(Response::from_fence_error(error).status(), status);
        }
        assert_eq!(StatusCode::from_fence_error(Error::from(InvalidEventId::Empty)), 400);
    }

    #[test]
    fn an_error_becomes_each_error_type_that_handlers_return() {
        let error = || Error::store("mark", "table secrets is locked");
        assert_eq!(StatusCode::from(error()), 503);
        assert_eq!(Response::from(error()).status(), 503);
        let line = "the event could not be recorded, deliver it again later".to_owned();
        assert_eq!(<(StatusCode, String)>::from(error()), (StatusCode::SERVICE_UNAVAILABLE, line));
        assert_eq!(Err::<(), _>(axum::response::ErrorResponse::from(error())).into_response().status(), 503);
    }

    #[tokio::test]
    async fn a_store_is_not_named_to_the_sender() {
        let reply = Error::store("mark", "table secrets is locked").into_response();
        let body = axum::body::to_bytes(reply.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "the event could not be recorded, deliver it again later");
    }

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_before_the_lease_ends() {
        for (left, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (2_000, "2"), (2_500, "3")] {
            let reply = in_progress(Duration::from_millis(left));
            assert_eq!(reply.headers()[RETRY_AFTER], seconds, "{left} ms");
        }
    }

    #[test]
    fn a_duplicate_is_an_empty_200() {
        assert_eq!(StatusCode::duplicate_reply(), 200);
        assert_eq!(Response::duplicate_reply().status(), 200);
        assert_eq!(NoContent::duplicate_reply().into_response().status(), 204);
        assert_eq!(Outcome::<StatusCode>::Duplicate.into_response().status(), 200);
        assert_eq!(Outcome::Processed(StatusCode::CREATED).into_response().status(), 201);
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_is_the_event_that_it_holds() {
        let event = Json(serde_json::json!({"id": "evt_1", "type": "paid"}));
        assert_eq!((event.event_id(), event.event_type()), ("evt_1", Some("paid")));
    }
}
