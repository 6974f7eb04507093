//! What arrives.

use serde::de::DeserializeOwned;

use super::error::SignatureError;
use super::json;
use super::payload::PayloadError;

/// Headers of the senders that are known here are under 500 bytes long.
pub(super) const MAX_HEADER_BYTES: usize = 4096;

/// One delivery as it arrived: its raw body, and its headers by name.
///
/// It needs no web framework:
///
/// ```
/// use ferro_idem::sender::Delivery;
///
/// let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", "sha256=00")];
/// let delivery = Delivery::new(b"{}").with_headers(headers);
/// assert_eq!(delivery.header("x-hub-signature-256"), Ok("sha256=00"));
/// assert!(delivery.header("X-GitHub-Delivery").is_err());
/// ```
#[derive(Clone)]
pub struct Delivery<'a> {
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// A delivery without headers. `body` holds the raw bytes: JSON that was decoded and encoded again has another
    /// signature.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { headers: Vec::new(), body }
    }

    /// The same delivery with one more header.
    #[must_use]
    pub fn with_header(self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.with_headers([(name, value.as_ref())])
    }

    /// The same delivery with more headers. A name may occur more than once.
    #[must_use]
    pub fn with_headers<V: AsRef<[u8]> + ?Sized + 'a>(
        mut self,
        headers: impl IntoIterator<Item = (&'a str, &'a V)>,
    ) -> Self {
        self.headers.extend(headers.into_iter().map(|(name, value)| (name, value.as_ref())));
        self
    }

    /// The raw body.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The value of a header that has to be there once. Names are compared without case.
    ///
    /// # Errors
    ///
    /// [`SignatureError::MissingHeader`], [`SignatureError::RepeatedHeader`], and
    /// [`SignatureError::MalformedHeader`] if it is not visible ASCII or is over 4096 bytes long.
    pub fn header(&self, name: &'static str) -> Result<&'a str, SignatureError> {
        self.optional_header(name)?.ok_or(SignatureError::MissingHeader { header: name })
    }

    /// [`header`](Self::header), for one that may be missing.
    ///
    /// # Errors
    ///
    /// Those of [`header`](Self::header), but for the first.
    pub fn optional_header(&self, name: &'static str) -> Result<Option<&'a str>, SignatureError> {
        let mut values = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let Some((_, value)) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(SignatureError::RepeatedHeader { header: name });
        }
        if value.len() > MAX_HEADER_BYTES {
            return Err(SignatureError::malformed(name, "it is over 4096 bytes long"));
        }
        let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        match std::str::from_utf8(value) {
            Ok(value) if is_visible => Ok(Some(value)),
            _ => Err(SignatureError::malformed(name, "it is not visible ASCII")),
        }
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if it is not JSON in UTF-8, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        json::decode(json::text(self.body)?)
    }
}

/// Names the headers, and shows neither their values nor the body.
impl std::fmt::Debug for Delivery<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        formatter.debug_struct("Delivery").field("headers", &names).field("body", &self.body.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "X-Signature";

    #[test]
    fn a_header_is_there_once_in_visible_ascii() {
        let delivery = |values: &[&'static [u8]]| {
            Delivery::new(b"").with_headers(values.iter().map(|value| ("x-signature", *value)))
        };
        let header = |values: &[&'static [u8]]| delivery(values).header(NAME);
        let malformed = |reason| Err(SignatureError::malformed(NAME, reason));
        assert_eq!(header(&[b"a b"]), Ok("a b"));
        assert_eq!(header(&[b""]), Ok(""));
        assert_eq!(header(&[]), Err(SignatureError::MissingHeader { header: NAME }));
        assert_eq!(header(&[b"a", b"a"]), Err(SignatureError::RepeatedHeader { header: NAME }));
        assert_eq!(header(&[b"a\xff"]), malformed("it is not visible ASCII"));
        assert_eq!(header(&["é".as_bytes()]), malformed("it is not visible ASCII"));
        assert_eq!(header(&[b"a\nb"]), malformed("it is not visible ASCII"));
        assert_eq!(header(&[&[b'a'; 4096]]).map(str::len), Ok(4096));
        assert_eq!(header(&[&[b'a'; 4097]]), malformed("it is over 4096 bytes long"));
    }

    #[test]
    fn debug_shows_no_value() {
        let delivery = Delivery::new(b"canary").with_header("X-Token", "canary");
        assert_eq!(format!("{delivery:?}"), r#"Delivery { headers: ["X-Token"], body: 6 }"#);
    }
}
