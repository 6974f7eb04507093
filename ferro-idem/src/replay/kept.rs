//! A reply in the form that outlives the process.

use std::borrow::Cow;
use std::fmt;

/// The largest reply that is kept, in bytes of its stored form: 64 KiB.
///
/// A larger one fails its delivery with [`Error::ReplyNotKept`](crate::Error::ReplyNotKept) before anything is
/// committed. Keep a reference in its place: the URL of the result, or its id.
///
/// ```
/// assert_eq!(ferro_idem::replay::MAX_REPLY_BYTES, 65_536);
/// ```
pub const MAX_REPLY_BYTES: usize = 64 * 1024;

/// What is kept of a reply: its body, and for an HTTP response its status and headers.
///
/// ```
/// use ferro_idem::replay::KeptReply;
///
/// let kept = KeptReply::new("paid").with_status(201).with_header("location", "/charges/1");
/// assert_eq!((kept.status(), kept.body()), (Some(201), &b"paid"[..]));
/// assert_eq!(kept.header("Location"), Some(&b"/charges/1"[..]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeptReply {
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl KeptReply {
    /// A reply with this body.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { status: None, headers: Vec::new(), body: body.into() }
    }

    /// The same reply with an HTTP status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The same reply with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The HTTP status, if the reply has one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// Without the content, which may hold personal data.
impl fmt::Debug for KeptReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeptReply")
            .field("status", &self.status)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Why a reply cannot be kept or read back. The text never quotes the reply.
///
/// ```
/// use ferro_idem::replay::Unreplayable;
///
/// assert_eq!(Unreplayable::new("it is a stream").to_string(), "it is a stream");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreplayable(pub(super) Cow<'static, str>);

impl Unreplayable {
    /// The reason completes the sentence "the reply cannot be kept: ..".
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }

    pub(crate) fn too_large() -> Self {
        Self(format!("it is larger than {MAX_REPLY_BYTES} bytes").into())
    }

    #[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
    pub(crate) fn streaming() -> Self {
        Self("its body is a stream, which is not complete in memory".into())
    }
}

/// In the extensions of a response: its `Set-Cookie` headers are kept and replayed too.
///
/// Only the caller that used the key gets them again, so the scope of the handler has to name that caller.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::response::{IntoResponse, Response};
/// use ferro_idem::replay::KeepSetCookie;
///
/// let mut response: Response = [("set-cookie", "basket=7")].into_response();
/// response.extensions_mut().insert(KeepSetCookie);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepSetCookie;
