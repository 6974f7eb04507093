//! The stored form of a reply: what a log keeps.
//!
//! ```text
//! version (1 byte) | flags (1 byte) | fingerprint (32 bytes, if flagged)
//!     | status (2 bytes), number of headers (2 bytes), and for each the length (2 bytes) and bytes of its name
//!       and of its value (all of this if flagged)
//!     | the body, up to the end
//! ```
//!
//! Numbers are big-endian. Another version, or a flag that is not known, is refused and never guessed at.

use super::kept::{KeptReply, MAX_REPLY_BYTES, Unreplayable};
use super::terms::Fingerprint;

const VERSION: u8 = 1;

const HAS_FINGERPRINT: u8 = 1;
const IS_ERR: u8 = 1 << 1;
const IS_HTTP: u8 = 1 << 2;
const KNOWN: u8 = HAS_FINGERPRINT | IS_ERR | IS_HTTP;

/// Which side of a `Result` the reply is. Replies of other types are `Ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ok,
    Err,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) side: Side,
    pub(crate) reply: KeptReply,
}

impl Stored {
    /// An error if the reply is too large.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Unreplayable> {
        let Self { fingerprint, side, reply: KeptReply { status, headers, body } } = self;
        if body.len() > MAX_REPLY_BYTES {
            return Err(Unreplayable::too_large());
        }
        let is_http = status.is_some() || !headers.is_empty();
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(fingerprint.is_some(), HAS_FINGERPRINT)
            | flag(*side == Side::Err, IS_ERR)
            | flag(is_http, IS_HTTP);
        let mut bytes = Vec::with_capacity(64 + body.len());
        bytes.extend([VERSION, flags]);
        if let Some(fingerprint) = fingerprint {
            bytes.extend(fingerprint);
        }
        if is_http {
            bytes.extend(status.unwrap_or_default().to_be_bytes());
            bytes.extend(length(headers.len())?);
            for (name, value) in headers {
                for part in [name.as_bytes(), value] {
                    bytes.extend(length(part.len())?);
                    bytes.extend(part);
                }
            }
        }
        bytes.extend(body);
        if bytes.len() > MAX_REPLY_BYTES { Err(Unreplayable::too_large()) } else { Ok(bytes) }
    }

    /// The body keeps the memory of the bytes.
    pub(crate) fn of_bytes(mut bytes: Vec<u8>) -> Result<Self, Unreplayable> {
        let (mut stored, head) = Self::of_head(&bytes)?;
        drop(bytes.drain(..head));
        stored.reply.body = bytes;
        Ok(stored)
    }

    /// Everything but the body, and how many bytes that takes.
    fn of_head(bytes: &[u8]) -> Result<(Self, usize), Unreplayable> {
        let damaged = || Unreplayable::new("it is not the whole form in which replies are stored");
        let mut rest = Rest(bytes);
        let [version] = rest.array().ok_or_else(damaged)?;
        if version != VERSION {
            return Err(Unreplayable(
                format!(
                    "it has version {version} of the stored form, and this server reads version {VERSION}: a newer \
                     version of ferro-idem has kept it"
                )
                .into(),
            ));
        }
        let [flags] = rest.array().ok_or_else(damaged)?;
        if flags & !KNOWN != 0 {
            return Err(Unreplayable::new(
                "its stored form has parts that this server does not know: a newer version of ferro-idem has kept it",
            ));
        }
        let stored = Self::of_parts(flags, &mut rest).ok_or_else(damaged)?;
        Ok((stored, bytes.len().saturating_sub(rest.0.len())))
    }

    fn of_parts(flags: u8, rest: &mut Rest<'_>) -> Option<Self> {
        let fingerprint = if flags & HAS_FINGERPRINT == 0 { None } else { Some(rest.array()?) };
        let side = if flags & IS_ERR == 0 { Side::Ok } else { Side::Err };
        let mut reply = KeptReply::new(Vec::new());
        if flags & IS_HTTP != 0 {
            reply.status = Some(rest.number()?).filter(|status| *status != 0);
            for _ in 0..rest.number()? {
                let name = String::from_utf8(rest.text()?.to_vec()).ok()?;
                let value = rest.text()?.to_vec();
                reply.headers.push((name, value));
            }
        }
        Some(Self { fingerprint, side, reply })
    }
}

/// A length in two bytes.
fn length(length: usize) -> Result<[u8; 2], Unreplayable> {
    u16::try_from(length).map(u16::to_be_bytes).map_err(|_| Unreplayable::too_large())
}

/// The bytes that are not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(fingerprint: Option<Fingerprint>, side: Side, reply: KeptReply) -> Stored {
        Stored { fingerprint, side, reply }
    }

    #[test]
    fn what_is_stored_is_read_back_as_it_was() {
        let http =
            || KeptReply::new("{}").with_status(201).with_header("etag", "\"1\"").with_header("x", [0xff]);
        for stored in [
            stored(None, Side::Ok, KeptReply::new("")),
            stored(Some([7; 32]), Side::Err, KeptReply::new([0, 1, 255])),
            stored(Some([7; 32]), Side::Ok, http()),
            stored(None, Side::Err, http()),
            stored(None, Side::Ok, KeptReply::new("x").with_header("only", "a header")),
        ] {
            assert_eq!(Stored::of_bytes(stored.to_bytes().unwrap()), Ok(stored));
        }
    }

    #[test]
    fn a_value_has_two_bytes_more_than_itself() {
        let bytes = stored(None, Side::Ok, KeptReply::new("{}")).to_bytes().unwrap();
        assert_eq!(bytes, b"\x01\x00{}");
    }

    #[test]
    fn any_part_of_a_stored_reply_is_refused_or_is_another() {
        let whole =
            stored(Some([7; 32]), Side::Ok, KeptReply::new("").with_status(201).with_header("a", "b"));
        let bytes = whole.to_bytes().unwrap();
        for end in 0..bytes.len() {
            assert!(Stored::of_bytes(bytes[..end].to_vec()).is_err(), "{end} of {}", bytes.len());
        }
    }

    #[test]
    fn a_newer_form_is_told_as_one() {
        for newer in [&[2, 0][..], &[1, 0x80], &[255], &[1, 8, 0]] {
            let refused = Stored::of_bytes(newer.to_vec()).unwrap_err().to_string();
            assert!(refused.contains("newer version of ferro-idem"), "{refused}");
        }
        assert!(!Stored::of_bytes(Vec::new()).unwrap_err().to_string().contains("newer"));
    }

    #[test]
    fn a_reply_over_the_limit_is_refused() {
        let reply = |bytes: usize| stored(None, Side::Ok, KeptReply::new(vec![b'x'; bytes])).to_bytes();
        assert!(reply(MAX_REPLY_BYTES - 2).is_ok());
        assert!(reply(MAX_REPLY_BYTES - 1).is_err());
        assert!(reply(MAX_REPLY_BYTES + 1).is_err());
        let header = KeptReply::new("").with_header("x", vec![b'x'; MAX_REPLY_BYTES]);
        assert!(stored(None, Side::Ok, header).to_bytes().is_err());
    }
}
