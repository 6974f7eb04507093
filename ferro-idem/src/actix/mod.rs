//! Replies, rejections and extractors for actix-web.

#[cfg(feature = "sender")]
mod extract;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
mod inbox;
#[cfg(feature = "replay")]
pub(crate) mod replay;
mod settle;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Json;
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};

use crate::edge::ErrorReply;
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

/// `event_id = request.headers().get("x-delivery-id")`.
impl IdBytes for HeaderValue {
    fn id_bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The status, a line for the sender, and `Retry-After` while another delivery is running. The line does not name the
/// store: log the error.
///
/// Handlers return `Result<_, ferro_idem::Error>` or `Result<_, actix_web::Error>`.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        let reply = ErrorReply::from(self);
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = reply.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.body(reply.line)
    }
}

impl DuplicateReply for HttpResponse {
    fn duplicate_reply() -> Self {
        Self::Ok().finish()
    }
}

impl FromFenceError for HttpResponse {
    fn from_fence_error(error: Error) -> Self {
        error.error_response()
    }
}

/// A duplicate is an empty 200.
impl<T: Responder> Responder for Outcome<T> {
    type Body = actix_web::body::EitherBody<T::Body>;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse<Self::Body> {
        match self {
            Self::Processed(value) => value.respond_to(request).map_into_left_body(),
            Self::Duplicate => HttpResponse::Ok().finish().map_into_right_body(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

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
            assert_eq!(error.status_code(), status);
            assert_eq!(actix_web::Error::from(Error::store("mark", "gone")).error_response().status(), 503);
            assert_eq!(HttpResponse::from_fence_error(error).status(), status);
        }
    }

    #[tokio::test]
    async fn an_error_is_a_line_and_says_when_to_come_again() {
        let reply = Error::in_progress("evt_1", Duration::from_millis(2_500)).error_response();
        assert_eq!(reply.headers().get(RETRY_AFTER).unwrap(), "3");
        let body = to_bytes(reply.into_body()).await.unwrap();
        assert_eq!(body, "another delivery of the event is running: deliver it again in 3s");
        let reply = Error::store("mark", "table secrets is locked").error_response();
        let body = to_bytes(reply.into_body()).await.unwrap();
        assert_eq!(body, "the event could not be recorded, deliver it again later");
    }

    #[test]
    fn a_duplicate_is_an_empty_200() {
        let request = TestRequest::default().to_http_request();
        assert_eq!(HttpResponse::duplicate_reply().status(), 200);
        assert_eq!(Outcome::<HttpResponse>::Duplicate.respond_to(&request).status(), 200);
        let processed = Outcome::Processed(HttpResponse::Created().finish());
        assert_eq!(processed.respond_to(&request).status(), 201);
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_is_the_event_that_it_holds() {
        let event = Json(serde_json::json!({"id": "evt_1", "type": "paid"}));
        assert_eq!((event.event_id(), event.event_type()), ("evt_1", Some("paid")));
    }
}
