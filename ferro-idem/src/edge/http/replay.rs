//! Keeps replies made of the types of the `http` crate.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::edge::replay::{kept, no_response};
use crate::replay::{KeepSetCookie, KeptReply, Replayable, Unreplayable};

/// What is kept of a response with this body.
pub(crate) fn kept_of(
    status: StatusCode,
    headers: &HeaderMap,
    extensions: &Extensions,
    body: &[u8],
) -> KeptReply {
    let keeps_cookies = extensions.get::<KeepSetCookie>().is_some();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    kept(status.as_u16(), headers, keeps_cookies, body)
}

/// The kept headers.
pub(crate) fn headers_of(kept: &KeptReply) -> Result<HeaderMap, Unreplayable> {
    let mut headers = HeaderMap::new();
    for (name, value) in kept.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(no_response)?;
        headers.append(name, HeaderValue::from_bytes(value).map_err(no_response)?);
    }
    Ok(headers)
}

/// The kept status.
pub(crate) fn status_of(kept: &KeptReply) -> Result<StatusCode, Unreplayable> {
    let status = kept.status().ok_or_else(|| Unreplayable::new("it has no status"))?;
    StatusCode::from_u16(status).map_err(no_response)
}

impl Replayable for StatusCode {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        Ok((self, KeptReply::new([]).with_status(self.as_u16())))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        status_of(&kept)
    }
}

impl<T: Replayable> Replayable for (StatusCode, T) {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let (status, rest) = self;
        let (rest, kept) = rest.keep()?;
        Ok(((status, rest), kept.with_status(status.as_u16())))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        Ok((status_of(&kept)?, T::replay(kept)?))
    }
}
