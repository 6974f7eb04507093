//! How a sender signs.

use super::time::TimeFormat;
use crate::sender::keys::{Encoding, Hash};

/// How a sender signs its deliveries, and where the event's id is.
///
/// The default of everything but the constructor's arguments is what most senders do: HMAC-SHA256 of the body alone, in
/// lower-case hex, with nothing around it.
///
/// ```
/// use ferro_idem::sender::hmac::{Encoding, HmacScheme, Id};
///
/// // Typeform: `Typeform-Signature: sha256=<base64>`, with the id in the body
/// // (https://www.typeform.com/developers/webhooks/secure-your-webhooks/).
/// const TYPEFORM: HmacScheme = HmacScheme::new("Typeform-Signature", Id::Body(&["event_id"]))
///     .with_prefix("sha256=")
///     .with_encoding(Encoding::Base64)
///     .with_type_in_body(&["event_type"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HmacScheme {
    pub(super) header: &'static str,
    pub(super) id: Id,
    pub(super) hash: Hash,
    pub(super) encoding: Encoding,
    pub(super) prefix: &'static str,
    pub(super) separator: Option<char>,
    pub(super) before: &'static [Part],
    pub(super) after: &'static [Part],
    pub(super) event_type: Option<TypePlace>,
}

/// Where the id of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Id {
    /// In this header. It is under the signature only if [`Part::Id`] is signed.
    Header(&'static str),
    /// In the body, at the end of this path of names: a string, or a whole number. Each name has to be there exactly
    /// once.
    Body(&'static [&'static str]),
    /// Nowhere: the id is [`HmacEvent::signed_key`](super::HmacEvent::signed_key), a digest of the body. Two honest events
    /// with equal bodies are then one event.
    BodyDigest,
}

/// What a sender signs before the body or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// This text, such as a version or a separator.
    Text(&'static str),
    /// The id, which is in a header: [`Id::Header`].
    Id,
    /// The time of the delivery, which is in this header. It has to be within the endpoint's tolerance.
    TimestampHeader(&'static str, TimeFormat),
    /// The time of the delivery, which is the element of the signature's header that begins with this prefix, such as `t=`. Set the
    /// [separator](HmacScheme::with_separator) too.
    TimestampElement(&'static str, TimeFormat),
    /// The URL that the sender has for this endpoint: [`HmacWebhook::with_url`](super::HmacWebhook::with_url).
    Url,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum TypePlace {
    Header(&'static str),
    Body(&'static [&'static str]),
}

impl HmacScheme {
    /// A scheme with the signature in this header, and the event's id at this place.
    pub const fn new(header: &'static str, id: Id) -> Self {
        Self {
            header,
            id,
            hash: Hash::Sha256,
            encoding: Encoding::LowerHex,
            prefix: "",
            separator: None,
            before: &[],
            after: &[],
            event_type: None,
        }
    }

    /// The same scheme with another hash function than SHA-256.
    #[must_use]
    pub const fn with_hash(self, hash: Hash) -> Self {
        Self { hash, ..self }
    }

    /// The same scheme with another encoding of the signature than lower-case hex.
    #[must_use]
    pub const fn with_encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// The same scheme with this text before each signature: `sha256=`.
    #[must_use]
    pub const fn with_prefix(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// The same scheme with several elements in the header, separated by this: `v1=...,v1=...`. Each element with the
    /// [prefix](Self::with_prefix) is a signature, one of up to 16 has to match, and other elements are ignored.
    #[must_use]
    pub const fn with_separator(self, separator: char) -> Self {
        Self { separator: Some(separator), ..self }
    }

    /// The same scheme with this signed before the body.
    #[must_use]
    pub const fn with_signed_before_body(self, before: &'static [Part]) -> Self {
        Self { before, ..self }
    }

    /// The same scheme with this signed after the body.
    #[must_use]
    pub const fn with_signed_after_body(self, after: &'static [Part]) -> Self {
        Self { after, ..self }
    }

    /// The same scheme with the event's type in this header.
    #[must_use]
    pub const fn with_type_header(self, header: &'static str) -> Self {
        Self { event_type: Some(TypePlace::Header(header)), ..self }
    }

    /// The same scheme with the event's type in the body, at the end of this path of names.
    #[must_use]
    pub const fn with_type_in_body(self, path: &'static [&'static str]) -> Self {
        Self { event_type: Some(TypePlace::Body(path)), ..self }
    }

    /// The parts that are signed besides the body.
    pub(super) fn parts(&self) -> impl Iterator<Item = &'static Part> {
        self.before.iter().chain(self.after)
    }

    pub(super) fn signs_id(&self) -> bool {
        self.parts().any(|part| *part == Part::Id)
    }

    /// Why the scheme is invalid, in which case every delivery is refused.
    pub(super) fn flaw(&self, has_url: bool) -> Option<&'static str> {
        let is_timestamp =
            |part: &&Part| matches!(part, Part::TimestampHeader(..) | Part::TimestampElement(..));
        if self.signs_id() && !matches!(self.id, Id::Header(_)) {
            Some("it signs the id apart from the body, and the id is in no header")
        } else if !has_url && self.parts().any(|part| *part == Part::Url) {
            Some("it signs the URL, and none is set")
        } else if self.parts().filter(is_timestamp).count() > 1 {
            Some("it signs more than one time")
        } else {
            None
        }
    }
}
