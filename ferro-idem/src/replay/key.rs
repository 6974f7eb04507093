//! The key of a request, from the header `Idempotency-Key`.

use std::fmt;
use std::str::FromStr;

use crate::event::{EventRef, WebhookEvent};

/// The key that a client gives to a request, in the header `Idempotency-Key`
/// ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
///
/// It is an extractor of axum, actix-web and poem under the features of these names, and the event of the handler:
/// `#[idempotent_webhook(event = key, transaction(tx), replay)]`.
///
/// The draft's form is a string of [RFC 8941](https://www.rfc-editor.org/rfc/rfc8941#section-3.3.3),
/// `Idempotency-Key: "8e03978e-40d5"`, with `\"` and `\\` as its escapes. Most clients send the value without quotes,
/// which is read as well: visible ASCII without `"`, `\`, `,` and `;`. Both forms of one value are one key. A key has at
/// most 255 bytes, the scope of the attribute included.
///
/// ```
/// use ferro_idem::replay::IdempotencyKey;
///
/// let bare: IdempotencyKey = "8e03978e-40d5-43dd-bc93-6894a57f9324".parse()?;
/// let quoted: IdempotencyKey = r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#.parse()?;
/// assert_eq!(bare, quoted);
/// assert!("one, two".parse::<IdempotencyKey>().is_err());
/// # Ok::<(), ferro_idem::replay::InvalidIdempotencyKey>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a request, from the values of all its headers of this name.
    ///
    /// ```
    /// use ferro_idem::replay::{IdempotencyKey, InvalidIdempotencyKey};
    ///
    /// assert_eq!(IdempotencyKey::from_header([&b"key_1"[..]])?.as_str(), "key_1");
    /// assert_eq!(IdempotencyKey::from_header([]), Err(InvalidIdempotencyKey::Missing));
    /// # Ok::<(), InvalidIdempotencyKey>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is none, or more than one, or if it is not in one of the two forms.
    pub fn from_header<'v>(
        values: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<Self, InvalidIdempotencyKey> {
        let mut values = values.into_iter();
        let value = values.next().ok_or(InvalidIdempotencyKey::Missing)?;
        if values.next().is_some() {
            return Err(InvalidIdempotencyKey::Repeated);
        }
        Self::of_value(value)
    }

    /// The key as text, without quotes and escapes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_value(value: &[u8]) -> Result<Self, InvalidIdempotencyKey> {
        let value = value.trim_ascii();
        let key = match value.split_first() {
            None => return Err(InvalidIdempotencyKey::Missing),
            Some((b'"', quoted)) => unquoted(quoted)?,
            Some(_) if value.iter().all(|byte| is_bare(*byte)) => value.to_vec(),
            Some(_) => return Err(InvalidIdempotencyKey::Malformed),
        };
        if key.is_empty() {
            return Err(InvalidIdempotencyKey::Malformed);
        }
        if key.len() > EventRef::MAX_ID_BYTES {
            return Err(InvalidIdempotencyKey::TooLong { bytes: key.len() });
        }
        String::from_utf8(key).map(Self).map_err(|_| InvalidIdempotencyKey::Malformed)
    }
}

/// Visible ASCII, without what ends or separates values in a header.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"\\,;".contains(&byte)
}

/// The text of a string after its first quote. Parameters after it are ignored, as RFC 8941 has it for unknown ones.
fn unquoted(quoted: &[u8]) -> Result<Vec<u8>, InvalidIdempotencyKey> {
    let mut key = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    loop {
        match bytes.next() {
            Some(b'"') => break,
            Some(b'\\') => match bytes.next() {
                Some(escaped @ (b'"' | b'\\')) => key.push(*escaped),
                _ => return Err(InvalidIdempotencyKey::Malformed),
            },
            Some(byte @ b' '..=b'~') => key.push(*byte),
            _ => return Err(InvalidIdempotencyKey::Malformed),
        }
    }
    match bytes.as_slice().split_first() {
        None => Ok(key),
        Some((b';', parameters))
            if parameters.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b',') =>
        {
            Ok(key)
        }
        Some(_) => Err(InvalidIdempotencyKey::Malformed),
    }
}

/// The value of a header `Idempotency-Key`.
impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(value: &str) -> Result<Self, InvalidIdempotencyKey> {
        Self::of_value(value.as_bytes())
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for IdempotencyKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The id of the event is the key.
impl WebhookEvent for IdempotencyKey {
    fn event_id(&self) -> &str {
        &self.0
    }
}

/// Why a request has no key. It is answered with 400, and the text says what to send.
///
/// ```
/// use ferro_idem::replay::InvalidIdempotencyKey;
///
/// assert_eq!(InvalidIdempotencyKey::Missing.status(), 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdempotencyKey {
    /// There is no header, or it is empty.
    #[error(
        "the header `Idempotency-Key` is missing: send one with a new value for each operation, as a UUID, and the same value with each retry"
    )]
    Missing,
    /// There are two or more.
    #[error("the header `Idempotency-Key` is repeated: send one")]
    Repeated,
    /// It is neither a quoted string nor a bare value.
    #[error(
        "the header `Idempotency-Key` is malformed: send a string in quotes, as \"8e03978e-40d5-43dd-bc93-6894a57f9324\", or the same without quotes"
    )]
    Malformed,
    /// The key is longer than [`EventRef::MAX_ID_BYTES`].
    #[error(
        "the header `Idempotency-Key` has {bytes} bytes: send at most {}, as a UUID",
        EventRef::MAX_ID_BYTES
    )]
    #[non_exhaustive]
    TooLong {
        /// The length of the key in bytes.
        bytes: usize,
    },
}

impl InvalidIdempotencyKey {
    /// The HTTP status to answer with: 400.
    pub const fn status(self) -> u16 {
        400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<String, InvalidIdempotencyKey> {
        value.parse::<IdempotencyKey>().map(|key| key.to_string())
    }

    #[test]
    fn both_forms_of_a_value_are_one_key() {
        for value in
            ["8e03978e-40d5-43dd-bc93-6894a57f9324", "key_1", "KG5LxwFBepaKHyUD", "a/b+c==", "a:b", "'x'"]
        {
            assert_eq!(key(value).as_deref(), Ok(value));
            assert_eq!(key(&format!("\"{value}\"")).as_deref(), Ok(value));
            assert_eq!(key(&format!(" {value}\t")).as_deref(), Ok(value));
        }
    }

    #[test]
    fn a_string_has_two_escapes_and_may_have_parameters() {
        assert_eq!(key(r#""a\"b\\c""#).as_deref(), Ok(r#"a"b\c"#));
        assert_eq!(key(r#""a, b; c""#).as_deref(), Ok("a, b; c"));
        assert_eq!(key(r#""a";v=1; w="x""#).as_deref(), Ok("a"));
    }

    #[test]
    fn what_is_in_neither_form_is_malformed() {
        for value in [
            "\"",
            "\"\"",
            "\"a",
            "a\"",
            "a\"b\"",
            r#""a"b"#,
            r#""a" b"#,
            r#""a\n""#,
            r#""a\"#,
            "a b",
            "a, b",
            "a,b",
            "a;b",
            "a\\b",
            "é",
            "\"é\"",
            "a\0",
            "\"a\tb\"",
            "\"a\", \"b\"",
            "\"a\";b, \"c\"",
            "\u{7f}",
        ] {
            assert_eq!(key(value), Err(InvalidIdempotencyKey::Malformed), "{value:?}");
        }
        assert_eq!(IdempotencyKey::from_header([&b"\xff"[..]]), Err(InvalidIdempotencyKey::Malformed));
    }

    #[test]
    fn a_missing_a_repeated_and_a_long_key_are_told_apart() {
        assert_eq!(key(""), Err(InvalidIdempotencyKey::Missing));
        assert_eq!(key("  "), Err(InvalidIdempotencyKey::Missing));
        assert_eq!(IdempotencyKey::from_header([]), Err(InvalidIdempotencyKey::Missing));
        let twice = IdempotencyKey::from_header([&b"a"[..], b"a"]);
        assert_eq!(twice, Err(InvalidIdempotencyKey::Repeated));
        assert_eq!(key(&"a".repeat(255)).map(|key| key.len()), Ok(255));
        assert_eq!(key(&"a".repeat(256)), Err(InvalidIdempotencyKey::TooLong { bytes: 256 }));
        assert_eq!(key(&format!("\"{}\"", "a".repeat(255))).map(|key| key.len()), Ok(255));
    }
}
