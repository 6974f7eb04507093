//! What the frameworks share about replies that are kept and replayed.

#[cfg(any(feature = "actix-web", feature = "axum"))]
use crate::replay::MAX_REPLY_BYTES;
use crate::replay::{KeptReply, Unreplayable};

/// Marks a replayed response. The name is Stripe's
/// (<https://docs.stripe.com/api/idempotent_requests>).
pub(crate) const REPLAYED_HEADER: &str = "idempotent-replayed";

/// The header with the key, in the words of the draft.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// Headers of one connection (RFC 9110, 7.6.1), those that the server sets for each response, and this crate's own.
const NEVER_KEPT: &[&str] = &[
    "connection",
    "content-length",
    "date",
    REPLAYED_HEADER,
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A cookie belongs to the client that got it.
const SET_COOKIE: &str = "set-cookie";

/// Whether a header of a response is kept.
pub(crate) fn is_kept(name: &str, keeps_cookies: bool) -> bool {
    !NEVER_KEPT.iter().any(|never| name.eq_ignore_ascii_case(never))
        && (keeps_cookies || !name.eq_ignore_ascii_case(SET_COOKIE))
}

/// What is kept of a response.
pub(crate) fn kept<'h>(
    status: u16,
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    keeps_cookies: bool,
    body: &[u8],
) -> KeptReply {
    let headers = headers.filter(|(name, _)| is_kept(name, keeps_cookies));
    headers
        .fold(KeptReply::new(body).with_status(status), |kept, (name, value)| kept.with_header(name, value))
}

/// The bytes of a body so far, up to the limit.
#[cfg(any(feature = "actix-web", feature = "axum"))]
#[derive(Default)]
pub(crate) struct Collected(Vec<u8>);

#[cfg(any(feature = "actix-web", feature = "axum"))]
impl Collected {
    pub(crate) fn add(&mut self, chunk: &[u8]) -> Result<(), Unreplayable> {
        if chunk.len() > MAX_REPLY_BYTES.saturating_sub(self.0.len()) {
            return Err(Unreplayable::too_large());
        }
        self.0.extend(chunk);
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A body whose stream ended with an error.
#[cfg(any(feature = "axum", feature = "poem"))]
pub(crate) fn failed_body() -> Unreplayable {
    Unreplayable::new("its body ends with an error")
}

/// A part of a kept response that the framework refuses.
pub(crate) fn no_response<E>(_: E) -> Unreplayable {
    Unreplayable::new("its status or headers are not those of an HTTP response")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_and_headers_of_the_connection_are_not_kept() {
        for name in ["content-type", "location", "ETag", "x-charge-id", "cache-control", "link"] {
            assert!(is_kept(name, false), "{name}");
        }
        for name in ["Set-Cookie", "set-cookie", "Connection", "transfer-encoding", "content-length", "date"]
        {
            assert!(!is_kept(name, false), "{name}");
        }
        assert!(is_kept("Set-Cookie", true));
    }

    #[cfg(any(feature = "actix-web", feature = "axum"))]
    #[test]
    fn a_body_is_collected_up_to_the_limit() {
        let mut body = Collected::default();
        body.add(&vec![0; MAX_REPLY_BYTES]).unwrap();
        assert!(body.add(b"").is_ok());
        assert!(body.add(b"x").is_err());
    }
}
