//! Keeps and replays the responses of actix-web.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Json;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::status;
use crate::edge::replay::{Collected, KEY_HEADER, REPLAYED_HEADER, kept, no_response};
use crate::replay::{
    IdempotencyKey, InvalidIdempotencyKey, KeepSetCookie, KeptReply, Replayable, Unreplayable, keep_value,
    replay_value, watch,
};

/// The status, the handler's headers, and a body that is complete in memory.
impl Replayable for HttpResponse {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let (head, body) = self.into_parts();
        let bytes = body.try_into_bytes().map_err(|_| Unreplayable::streaming())?;
        let mut collected = Collected::default();
        collected.add(&bytes)?;
        let kept = {
            let keeps_cookies = head.extensions().get::<KeepSetCookie>().is_some();
            let headers = head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            kept(head.status().as_u16(), headers, keeps_cookies, &collected.into_bytes())
        };
        Ok((head.set_body(BoxBody::new(bytes)), kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        let mut response = Self::new(status_of(&kept)?);
        for (name, value) in kept.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(no_response)?;
            response.headers_mut().append(name, HeaderValue::from_bytes(value).map_err(no_response)?);
        }
        mark(response.headers_mut());
        Ok(response.set_body(BoxBody::new(kept.into_body())))
    }
}

fn mark(headers: &mut HeaderMap) {
    headers.insert(HeaderName::from_static(REPLAYED_HEADER), HeaderValue::from_static("true"));
}

fn status_of(kept: &KeptReply) -> Result<StatusCode, Unreplayable> {
    let status = kept.status().ok_or_else(|| Unreplayable::new("it has no status"))?;
    StatusCode::from_u16(status).map_err(no_response)
}

impl<T: Serialize + DeserializeOwned> Replayable for Json<T> {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let kept = keep_value(&self.0)?;
        Ok((self, kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        replay_value(kept.body()).map(Json)
    }
}

/// A reply with another status.
impl<T: Replayable> Replayable for (T, StatusCode) {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let (reply, status) = self;
        let (reply, kept) = reply.keep()?;
        Ok(((reply, status), kept.with_status(status.as_u16())))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        let status = status_of(&kept)?;
        Ok((T::replay(kept)?, status))
    }
}

/// Sets `Idempotent-Replayed: true` on replies of types that carry no header. See
/// [`replay::layer`](crate::replay::layer).
///
/// # Errors
///
/// Those of the handler.
pub async fn replayed_header<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let (response, is_replayed) = watch(next.call(request)).await;
    let mut response = response?;
    if is_replayed {
        mark(response.headers_mut());
    }
    Ok(response)
}

/// 400, and what to send.
impl ResponseError for InvalidIdempotencyKey {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }
}

/// 400 if the header is missing, malformed or repeated.
impl FromRequest for IdempotencyKey {
    type Error = InvalidIdempotencyKey;
    type Future = Ready<Result<Self, InvalidIdempotencyKey>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::from_header(request.headers().get_all(KEY_HEADER).map(HeaderValue::as_bytes)))
    }
}
