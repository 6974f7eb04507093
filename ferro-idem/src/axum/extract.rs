//! Extractors of verified events, and their rejections.

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::edge::senders::for_each_sender;
use crate::edge::status;
use crate::sender::{Delivery, Sender, SenderRejection, SignatureError, Verified};

/// 400, and why; 500 if this server has no secret to verify with.
impl IntoResponse for SignatureError {
    fn into_response(self) -> Response {
        (status(self.status()), self.to_string()).into_response()
    }
}

impl IntoResponse for SenderRejection {
    fn into_response(self) -> Response {
        (status(self.status()), self.body()).into_response()
    }
}

impl<S: Sender + FromRef<State>, State: Send + Sync> FromRequest<State> for Verified<S> {
    type Rejection = SenderRejection;

    async fn from_request(request: Request, state: &State) -> Result<Self, SenderRejection> {
        let (headers, body) = read::<S>(request).await?;
        Self::read(&S::from_ref(state), &Delivery::new(&body).with_headers(named(&headers)))
    }
}

/// Reads the headers and the body, which `DefaultBodyLimit` limits.
pub(super) async fn read<S: Sender>(request: Request) -> Result<(HeaderMap, Bytes), SenderRejection> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| {
        let rejection = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => SenderRejection::BodyTooLarge,
            _ => SenderRejection::BodyUnreadable(rejection.into()),
        };
        rejection.logged(S::NAME)
    })?;
    Ok((headers, body))
}

/// The headers by their names.
pub(super) fn named(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

for_each_sender! {
    ($event:ty, $webhook:ty, $rejected:expr) => {
        #[doc = concat!("A handler that takes one runs on verified events only. The secrets come from the router's state: `", stringify!($webhook), ": FromRef<S>`.")]
        impl<S: Send + Sync> FromRequest<S> for $event
        where
            $webhook: FromRef<S>,
        {
            type Rejection = SenderRejection;

            async fn from_request(request: Request, state: &S) -> Result<Self, SenderRejection> {
                let verified = Verified::<$webhook>::from_request(request, state).await;
                verified.map(|Verified(event)| event).map_err($rejected)
            }
        }
    };
}
