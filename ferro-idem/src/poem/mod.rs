//! Replies, rejections and extractors for poem.

#[cfg(feature = "sender")]
mod extract;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
mod inbox;
#[cfg(feature = "replay")]
pub(crate) mod replay;
mod settle;

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::http::header::RETRY_AFTER;
use poem::web::Json;
use poem::{IntoResponse, Response};

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

/// The status, a line for the sender, and `Retry-After` while another delivery is running. The line does not name the
/// store: log the error.
///
/// Handlers return `Result<_, ferro_idem::Error>` or `poem::Result<_>`.
impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        self.into()
    }

    fn as_response(&self) -> Response {
        let reply = ErrorReply::from(self);
        let mut response = reply.line.into_response();
        response.set_status(self.into());
        if let Some(seconds) = reply.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl DuplicateReply for Response {
    fn duplicate_reply() -> Self {
        StatusCode::OK.into_response()
    }
}

impl FromFenceError for Response {
    fn from_fence_error(error: Error) -> Self {
        error.as_response()
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
            assert_eq!(ResponseError::status(&error), status);
            assert_eq!(Response::from_fence_error(error).status(), status);
        }
        assert_eq!(poem::Error::from(Error::store("mark", "gone")).into_response().status(), 503);
    }

    #[tokio::test]
    async fn an_error_is_a_line_and_says_when_to_come_again() {
        let reply = Error::in_progress("evt_1", Duration::from_millis(2_500)).as_response();
        assert_eq!(reply.headers()[RETRY_AFTER], "3");
        let body = reply.into_body().into_string().await.unwrap();
        assert_eq!(body, "another delivery of the event is running: deliver it again in 3s");
        let reply = Error::store("mark", "table secrets is locked").as_response();
        let body = reply.into_body().into_string().await.unwrap();
        assert_eq!(body, "the event could not be recorded, deliver it again later");
    }

    #[test]
    fn a_duplicate_is_an_empty_200() {
        assert_eq!(Response::duplicate_reply().status(), 200);
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
