//! Keeps and replays the responses of poem.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use poem::error::{ReadBodyError, ResponseError};
use poem::http::{HeaderName, HeaderValue, StatusCode};
use poem::web::{Html, Json};
use poem::{Body, Endpoint, FromRequest, IntoResponse, Request, RequestBody, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::edge::replay::{KEY_HEADER, REPLAYED_HEADER, failed_body};
use crate::edge::{headers_of, kept_of, status, status_of};
use crate::replay::{
    IdempotencyKey, InvalidIdempotencyKey, KeptReply, MAX_REPLY_BYTES, Replayable, Unreplayable, keep_value,
    replay_value, watch,
};

/// The status, the handler's headers, and a body that is complete in memory.
impl Replayable for Response {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let (parts, body) = self.into_parts();
        let bytes = {
            // A body that waits for anything is a stream.
            let reading = pin!(body.into_bytes_limit(MAX_REPLY_BYTES));
            match reading.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(ReadBodyError::PayloadTooLarge)) => return Err(Unreplayable::too_large()),
                Poll::Ready(Err(_)) => return Err(failed_body()),
                Poll::Pending => return Err(Unreplayable::streaming()),
            }
        };
        let kept = kept_of(parts.status, &parts.headers, &parts.extensions, &bytes);
        Ok((Self::from_parts(parts, Body::from(bytes)), kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        let mut response = Self::default();
        response.set_status(status_of(&kept)?);
        *response.headers_mut() = headers_of(&kept)?;
        mark(&mut response);
        response.set_body(kept.into_body());
        Ok(response)
    }
}

fn mark(response: &mut Response) {
    response.headers_mut().insert(HeaderName::from_static(REPLAYED_HEADER), HeaderValue::from_static("true"));
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

impl<T: Replayable> Replayable for Html<T> {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        self.0.keep().map(|(text, kept)| (Self(text), kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        T::replay(kept).map(Self)
    }
}

/// Sets `Idempotent-Replayed: true` on replies of types that carry no header. See
/// [`replay::layer`](crate::replay::layer).
///
/// # Errors
///
/// Those of the handler.
pub async fn replayed_header<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let (response, is_replayed) = watch(endpoint.call(request)).await;
    let mut response = response?.into_response();
    if is_replayed {
        mark(&mut response);
    }
    Ok(response)
}

/// 400, and what to send.
impl ResponseError for InvalidIdempotencyKey {
    fn status(&self) -> StatusCode {
        status(Self::status(*self))
    }
}

/// 400 if the header is missing, malformed or repeated.
impl<'a> FromRequest<'a> for IdempotencyKey {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let values = request.headers().get_all(KEY_HEADER).iter().map(HeaderValue::as_bytes);
        Ok(Self::from_header(values)?)
    }
}
