//! Keeps and replays the responses of axum.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, NoContent, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::edge::replay::{Collected, KEY_HEADER, REPLAYED_HEADER, failed_body};
use crate::edge::{headers_of, kept_of, status, status_of};
use crate::replay::{
    IdempotencyKey, InvalidIdempotencyKey, KeptReply, Replayable, Unreplayable, keep_value, replay_value,
    watch,
};

/// The status, the handler's headers, and a body that is complete in memory.
impl Replayable for Response {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let (parts, body) = self.into_parts();
        let body = collect(body)?;
        let kept = kept_of(parts.status, &parts.headers, &parts.extensions, &body);
        Ok((Self::from_parts(parts, Body::from(body)), kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        let (status, headers) = (status_of(&kept)?, headers_of(&kept)?);
        let mut response = Self::new(Body::from(kept.into_body()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        mark(&mut response);
        Ok(response)
    }
}

fn mark(response: &mut Response) {
    response.headers_mut().insert(HeaderName::from_static(REPLAYED_HEADER), HeaderValue::from_static("true"));
}

/// A body that waits for anything is a stream.
fn collect(mut body: Body) -> Result<Vec<u8>, Unreplayable> {
    let mut collected = Collected::default();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(None) => return Ok(collected.into_bytes()),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => collected.add(&data)?,
                Err(_) => return Err(Unreplayable::new("its body has trailers")),
            },
            Poll::Ready(Some(Err(_))) => return Err(failed_body()),
            Poll::Pending => return Err(Unreplayable::streaming()),
        }
    }
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

impl Replayable for NoContent {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        Ok((self, KeptReply::new([]).with_status(204)))
    }

    fn replay(_: KeptReply) -> Result<Self, Unreplayable> {
        Ok(Self)
    }
}

/// Sets `Idempotent-Replayed: true` on replies of types that carry no header. See
/// [`replay::layer`](crate::replay::layer).
pub async fn replayed_header(request: Request, next: Next) -> Response {
    let (mut response, is_replayed) = watch(next.run(request)).await;
    if is_replayed {
        mark(&mut response);
    }
    response
}

/// 400, and what to send.
impl IntoResponse for InvalidIdempotencyKey {
    fn into_response(self) -> Response {
        (status(self.status()), self.to_string()).into_response()
    }
}

/// 400 if the header is missing, malformed or repeated.
impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = InvalidIdempotencyKey;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, InvalidIdempotencyKey> {
        Self::from_header(parts.headers.get_all(KEY_HEADER).iter().map(HeaderValue::as_bytes))
    }
}
