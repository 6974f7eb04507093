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
        match error {
            Error::InProgress { .. } | Error::LeaseLost { .. } => Self::CONFLICT,
            Error::Store { .. } => Self::SERVICE_UNAVAILABLE,
            Error::LeaseTooShort { .. } => Self::INTERNAL_SERVER_ERROR,
            Error::InvalidEventId { .. } => Self::BAD_REQUEST,
        }
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
}
