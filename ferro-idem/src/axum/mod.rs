//! Replies, rejections and extractors for axum.

#[cfg(feature = "sender")]
mod extract;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
mod inbox;
#[cfg(feature = "replay")]
pub(crate) mod replay;
mod settle;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, NoContent, Response};

use crate::edge::ErrorReply;
use crate::error::Error;
use crate::event::WebhookEvent;
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
        (StatusCode::from(&error), ErrorReply::from(&error).line)
    }
}

/// The status, a line for the sender, and `Retry-After` while another delivery is running. The line does
/// not name the store: log the error.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let reply = ErrorReply::from(&self);
        let retry_after = reply.retry_after.map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
        (retry_after, (StatusCode::from(&self), reply.line)).into_response()
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
    async fn an_error_is_a_line_and_says_when_to_come_again() {
        let reply = Error::in_progress("evt_1", Duration::from_millis(2_500)).into_response();
        assert_eq!(reply.headers()[RETRY_AFTER], "3");
        let body = axum::body::to_bytes(reply.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "another delivery of the event is running: deliver it again in 3s");
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
