//! Stripe's rejections and the extractor.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::reply::Settle;
use crate::stripe::{SIGNATURE_HEADER, SignatureError, StripeEvent, StripeWebhook, refused};

/// Why a request did not become a [`StripeEvent`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StripeRejection {
    /// The request is not signed by Stripe, or it is and the body is not an event: 400.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The body could not be read: 413 if it is over the router's `DefaultBodyLimit`.
    #[error(transparent)]
    Body(#[from] BytesRejection),
}

/// 400, and why; 500 if this server has no secret to verify with.
impl IntoResponse for SignatureError {
    fn into_response(self) -> Response {
        let status =
            if self.is_own_fault() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        (status, self.to_string()).into_response()
    }
}

/// Never.
#[diagnostic::do_not_recommend]
impl Settle for SignatureError {
    fn is_processed(&self) -> bool {
        false
    }
}

/// Never.
#[diagnostic::do_not_recommend]
impl Settle for StripeRejection {
    fn is_processed(&self) -> bool {
        false
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
/// The secrets come from the router's state: `StripeWebhook: FromRef<S>`.
///
/// ```
/// use axum::Router;
/// use axum::extract::{FromRef, State};
/// use axum::http::StatusCode;
/// use axum::routing::post;
/// use ferro_idem::stripe::{StripeEvent, StripeWebhook};
/// use ferro_idem::{MemoryProcessedLog, idempotent_webhook};
///
/// #[derive(Clone)]
/// struct App {
///     log: MemoryProcessedLog,
///     stripe: StripeWebhook,
/// }
///
/// impl FromRef<App> for StripeWebhook {
///     fn from_ref(app: &App) -> Self {
///         app.stripe.clone()
///     }
/// }
///
/// #[idempotent_webhook(log = app.log)]
/// async fn on_event(State(app): State<App>, event: StripeEvent) -> StatusCode {
///     println!("{}", event.event_type());
///     StatusCode::CREATED
/// }
///
/// let app = App { log: MemoryProcessedLog::new(), stripe: StripeWebhook::new("whsec_test") };
/// let router: Router = Router::new().route("/stripe", post(on_event)).with_state(app);
/// ```
impl<S> FromRequest<S> for StripeEvent
where
    S: Send + Sync,
    StripeWebhook: FromRef<S>,
{
    type Rejection = StripeRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let header = signature_header(&request).map_err(refused)?;
        let payload = Bytes::from_request(request, state).await?;
        Ok(StripeWebhook::from_ref(state).verify(&payload, &header)?)
    }
}

fn signature_header(request: &Request) -> Result<String, SignatureError> {
    let mut headers = request.headers().get_all(SIGNATURE_HEADER).iter();
    let header = headers.next().ok_or(SignatureError::MissingHeader)?;
    if headers.next().is_some() {
        return Err(SignatureError::RepeatedHeader);
    }
    let header =
        header.to_str().map_err(|_| SignatureError::MalformedHeader { reason: "it is not visible ASCII" });
    header.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::InvalidSecret;

    #[test]
    fn a_forger_is_told_400_and_a_server_without_a_secret_500() {
        let invalid = SignatureError::InvalidSecret(InvalidSecret::ApiKey);
        for (error, status) in
            [(SignatureError::MissingHeader, 400), (SignatureError::NoSecret, 500), (invalid, 500)]
        {
            assert_eq!(error.clone().into_response().status(), status);
            assert_eq!(StripeRejection::from(error).into_response().status(), status);
        }
    }
}
