//! Replies, rejections and the extractor for axum.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};

use crate::error::Error;
use crate::event::WebhookEvent;
use crate::reply::{DuplicateReply, FromFenceError, Outcome, Settle};

impl<T: WebhookEvent> WebhookEvent for Json<T> {
    fn event_id(&self) -> &str {
        self.0.event_id()
    }

    fn event_type(&self) -> Option<&str> {
        self.0.event_type()
    }
}

/// The status of the table in [`Error`].
impl From<&Error> for StatusCode {
    fn from(error: &Error) -> Self {
        Self::from_u16(error.status()).unwrap_or(Self::INTERNAL_SERVER_ERROR)
    }
}

/// The status, a line for the sender, and `Retry-After` while another delivery is running. What names
/// the store stays out of it: log the error.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from(&self);
        match &self {
            Self::Store { .. } => {
                (status, "the event could not be recorded, deliver it again later").into_response()
            }
            Self::InProgress { retry_after, .. } => {
                // Whole seconds (RFC 9110, 10.2.3), and never before the lease ends.
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                (status, [(RETRY_AFTER, seconds.max(1).to_string())], self.to_string()).into_response()
            }
            _ => (status, self.to_string()).into_response(),
        }
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

/// 2xx. Stripe takes everything else, redirects included, for a failure
/// (<https://docs.stripe.com/webhooks#webhook-endpoint-def>).
impl Settle for StatusCode {
    fn is_processed(&self) -> bool {
        self.is_success()
    }
}

/// By the status.
impl<T> Settle for (StatusCode, T) {
    fn is_processed(&self) -> bool {
        self.0.is_processed()
    }
}

/// By the status.
impl<T, U> Settle for (StatusCode, T, U) {
    fn is_processed(&self) -> bool {
        self.0.is_processed()
    }
}

/// 2xx, as for [`StatusCode`].
impl Settle for Response {
    fn is_processed(&self) -> bool {
        self.status().is_success()
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

#[cfg(feature = "stripe")]
pub(crate) mod stripe {
    use axum::body::Bytes;
    use axum::extract::rejection::BytesRejection;
    use axum::extract::{FromRef, FromRequest, Request};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};

    use crate::stripe::{SIGNATURE_HEADER, SignatureError, StripeEvent, StripeWebhook};

    /// Why a request did not become a [`StripeEvent`].
    #[derive(Debug, thiserror::Error)]
    #[non_exhaustive]
    pub enum StripeRejection {
        /// Not signed by Stripe, or signed and not an event: 400.
        #[error(transparent)]
        Signature(#[from] SignatureError),
        /// The body could not be read: 413 where it is over the router's `DefaultBodyLimit`.
        #[error(transparent)]
        Body(#[from] BytesRejection),
    }

    /// 400, and why; 500 where this server has no secret to verify with.
    impl IntoResponse for SignatureError {
        fn into_response(self) -> Response {
            let status = match self {
                Self::NoSecret => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            (status, self.to_string()).into_response()
        }
    }

    impl IntoResponse for StripeRejection {
        fn into_response(self) -> Response {
            match self {
                Self::Signature(error) => error.into_response(),
                Self::Body(rejection) => rejection.into_response(),
            }
        }
    }

    /// A handler that takes a [`StripeEvent`] runs on verified events only.
    ///
    /// The state gives the secrets: `StripeWebhook: FromRef<S>`.
    impl<S> FromRequest<S> for StripeEvent
    where
        S: Send + Sync,
        StripeWebhook: FromRef<S>,
    {
        type Rejection = StripeRejection;

        async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
            let mut headers = request.headers().get_all(SIGNATURE_HEADER).iter();
            let header = headers.next().ok_or(SignatureError::MissingHeader)?.clone();
            if headers.next().is_some() {
                return Err(SignatureError::RepeatedHeader.into());
            }
            let header = header
                .to_str()
                .map_err(|_| SignatureError::MalformedHeader { reason: "it is not visible ASCII" })?;
            let payload = Bytes::from_request(request, state).await?;
            Ok(StripeWebhook::from_ref(state).verify(&payload, header)?)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_forger_is_told_400_and_a_server_without_a_secret_500() {
            for (error, status) in [(SignatureError::MissingHeader, 400), (SignatureError::NoSecret, 500)] {
                assert_eq!(error.clone().into_response().status(), status);
                assert_eq!(StripeRejection::from(error).into_response().status(), status);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::InvalidEventId;

    fn in_progress(retry_after: Duration) -> Response {
        Error::InProgress { event_id: "evt_1".to_owned(), retry_after }.into_response()
    }

    #[test]
    fn every_error_has_its_status() {
        for (error, status) in [
            (Error::store("mark", "no answer"), 503),
            (Error::InProgress { event_id: "evt_1".to_owned(), retry_after: Duration::ZERO }, 409),
            (Error::lease_lost("evt_1"), 409),
            (Error::LeaseTooShort { lease: Duration::ZERO }, 500),
            (Error::from(InvalidEventId::Empty), 400),
        ] {
            assert_eq!(StatusCode::from(&error), status);
            assert_eq!(Response::from_fence_error(error).status(), status);
        }
        assert_eq!(StatusCode::from_fence_error(Error::from(InvalidEventId::Empty)), 400);
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
    fn a_reply_of_2xx_settles_and_no_other() {
        for (status, is_processed) in [(200, true), (204, true), (302, false), (404, false), (503, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(status.is_processed(), is_processed);
            assert_eq!((status, "text").is_processed(), is_processed);
            assert_eq!((status, [(RETRY_AFTER, "1")], "text").is_processed(), is_processed);
            assert_eq!(status.into_response().is_processed(), is_processed);
        }
    }

    #[test]
    fn a_duplicate_is_an_empty_200() {
        assert_eq!(StatusCode::duplicate_reply(), 200);
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
