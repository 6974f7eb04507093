//! Extractors of verified events, and their rejections.

use bytes::Bytes;
use poem::error::{ReadBodyError, ResponseError};
use poem::http::{HeaderMap, StatusCode};
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};

use crate::edge::senders::for_each_sender;
use crate::edge::{MAX_BODY_BYTES, status};
use crate::sender::{BodyLimit, Delivery, Sender, SenderRejection, SignatureError, Verified};

/// 400, and why; 500 if this server has no secret to verify with.
impl ResponseError for SignatureError {
    fn status(&self) -> StatusCode {
        status(Self::status(self))
    }
}

impl ResponseError for SenderRejection {
    fn status(&self) -> StatusCode {
        status(Self::status(self))
    }

    fn as_response(&self) -> Response {
        (ResponseError::status(self), self.body()).into_response()
    }
}

async fn verified<S: Sender>(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Verified<S>, SenderRejection> {
    let sender = request.data::<S>().ok_or_else(|| SenderRejection::NoSender(std::any::type_name::<S>()))?;
    let body = read(request, body).await?;
    Verified::read(sender, &Delivery::new(&body).with_headers(named(request.headers())))
}

/// The body up to the application's limit, or else up to that of this crate: poem has none.
pub(super) async fn read(request: &Request, body: &mut RequestBody) -> Result<Bytes, SenderRejection> {
    let limit = request.data::<BodyLimit>().map_or(MAX_BODY_BYTES, |limit| limit.0);
    let body = match body.take() {
        Ok(body) => body.into_bytes_limit(limit).await,
        Err(taken) => Err(taken),
    };
    body.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => SenderRejection::BodyTooLarge,
        error => SenderRejection::BodyUnreadable(error.into()),
    })
}

/// The headers by their names.
pub(super) fn named(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

impl<'a, S: Sender> FromRequest<'a> for Verified<S> {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(verified(request, body).await.map_err(|rejection| rejection.logged(S::NAME))?)
    }
}

for_each_sender! {
    ($event:ty, $webhook:ty, $rejected:expr) => {
        #[doc = concat!("A handler that takes one runs on verified events only. The secrets come from `.data(..)` of a `", stringify!($webhook), "`.")]
        impl<'a> FromRequest<'a> for $event {
            async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
                let verified = verified::<$webhook>(request, body).await;
                let event = verified.map(|Verified(event)| event).map_err($rejected);
                Ok(event.map_err(|rejection: SenderRejection| rejection.logged(<$webhook>::NAME))?)
            }
        }
    };
}
