//! Extractors of verified events, and their rejections.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};

use super::status;
use crate::edge::MAX_BODY_BYTES;
use crate::edge::senders::for_each_sender;
use crate::sender::{Delivery, Sender, SenderRejection, SignatureError, Verified};

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, SenderRejection>>>>;

/// 400, and why; 500 if this server has no secret to verify with.
impl ResponseError for SignatureError {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }
}

impl ResponseError for SenderRejection {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).body(self.body())
    }
}

impl<S: Sender> FromRequest for Verified<S> {
    type Error = SenderRejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let verified = async {
                let sender = sender::<S>(&request)?;
                let body = read(&request, &mut payload).await?;
                Self::read(sender, &Delivery::new(&body).with_headers(named(request.headers())))
            };
            verified.await.map_err(|rejection| rejection.logged(S::NAME))
        })
    }
}

fn sender<S: Sender>(request: &HttpRequest) -> Result<&S, SenderRejection> {
    let shared = request.app_data::<Data<S>>().map(Data::get_ref);
    shared
        .or_else(|| request.app_data::<S>())
        .ok_or_else(|| SenderRejection::NoSender(std::any::type_name::<S>()))
}

/// The body up to the application's limit, or else up to that of this crate. actix-web's own is 256 KiB, which loses
/// honest events.
pub(super) async fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Bytes, SenderRejection> {
    let has_limit =
        request.app_data::<PayloadConfig>().is_some() || request.app_data::<Data<PayloadConfig>>().is_some();
    let body = if has_limit {
        Bytes::from_request(request, payload).await
    } else {
        match web::Payload::from_request(request, payload).await {
            Ok(payload) => {
                payload.to_bytes_limited(MAX_BODY_BYTES).await.map_err(|_| SenderRejection::BodyTooLarge)?
            }
            Err(error) => Err(error),
        }
    };
    body.map_err(|error| match error.as_response_error().status_code() {
        StatusCode::PAYLOAD_TOO_LARGE => SenderRejection::BodyTooLarge,
        _ => SenderRejection::BodyUnreadable(error.to_string().into()),
    })
}

/// The headers by their names.
pub(super) fn named(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

for_each_sender! {
    ($event:ty, $webhook:ty, $rejected:expr) => {
        #[doc = concat!("A handler that takes one runs on verified events only. The secrets come from the `app_data`: a `", stringify!($webhook), "`, or a `web::Data` of one.")]
        impl FromRequest for $event {
            type Error = SenderRejection;
            type Future = Extracting<Self>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let verified = Verified::<$webhook>::from_request(request, payload);
                Box::pin(async move { verified.await.map(|Verified(event)| event).map_err($rejected) })
            }
        }
    };
}
