//! Verifies deliveries by a scheme.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::event::HmacEvent;
use super::scheme::{HmacScheme, Id, Part, TypePlace};
use crate::sender::body::Body;
use crate::sender::clock::check_age;
use crate::sender::endpoint::endpoint_secrets;
use crate::sender::json::{lenient_at, members, strict_at};
use crate::sender::keys::Keys;
use crate::sender::payload::Flaw;
use crate::sender::refusal::refused;
use crate::sender::secret::{PREFIXES, Rules};
use crate::sender::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

/// The tolerance of most senders' own libraries.
const TOLERANCE: Duration = Duration::from_mins(5);

/// A sender signs once for each secret.
const MAX_SIGNATURES: usize = 16;

/// The secrets have no known form.
const RULES: Rules =
    Rules { prefix: None, api_keys: &[], ids: &[], own: PREFIXES, is_free_text: true, without: &[] };

/// Verifies that deliveries are signed by an [`HmacScheme`]: compared in constant time, over the raw bytes, within 300 s
/// of this machine's clock if the scheme signs a time.
///
/// The [module](super) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct HmacWebhook {
    keys: Keys,
    scheme: HmacScheme,
    url: Option<Arc<str>>,
    tolerance: Duration,
}

impl HmacWebhook {
    /// An endpoint with this secret, whose bytes are the key.
    ///
    /// White space around it is ignored. A text that cannot be the secret (see [`InvalidSecret`]) is not used, and
    /// deliveries are refused with the reason.
    pub fn new(scheme: HmacScheme, secret: impl AsRef<str>) -> Self {
        Self::empty(scheme).with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::sender::InvalidSecret;
    /// use ferro_idem::sender::hmac::{HmacScheme, HmacWebhook, Id};
    ///
    /// let scheme = HmacScheme::new("X-Signature", Id::Body(&["id"]));
    /// assert_eq!(HmacWebhook::try_new(scheme, " \n").unwrap_err(), InvalidSecret::Empty);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text is empty, in quotation marks, or holds a control character.
    pub fn try_new(scheme: HmacScheme, secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self::empty(scheme).try_with_secret(secret)
    }

    fn empty(scheme: HmacScheme) -> Self {
        Self { keys: Keys::of(scheme.hash), scheme, url: None, tolerance: TOLERANCE }
    }

    /// The same endpoint with one more secret, as bytes: for senders that show their secrets in hex or base64.
    ///
    /// An empty key is ignored.
    #[must_use]
    pub fn with_key(mut self, key: impl AsRef<[u8]>) -> Self {
        let key = key.as_ref();
        self.keys.add(if key.is_empty() { Err(InvalidSecret::Empty) } else { Ok(key) });
        self
    }

    /// The same endpoint with its URL, byte for byte as it is configured at the sender, for schemes that sign
    /// [`Part::Url`].
    #[must_use]
    pub fn with_url(self, url: impl Into<Arc<str>>) -> Self {
        Self { url: Some(url.into()), ..self }
    }

    /// The same endpoint with another tolerance than 300 s.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// The headers that the sender would send with `body` at `at`, for tests: the signature, the time if it has a header of
    /// its own, and the id if it is in a header. They are signed with the newest secret.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`], [`SignatureError::InvalidSecret`] or [`SignatureError::InvalidScheme`].
    pub fn sign(
        &self,
        id: &str,
        body: &[u8],
        at: SystemTime,
    ) -> Result<Vec<(&'static str, String)>, SignatureError> {
        self.check()?;
        let mut headers = Vec::new();
        let mut elements = String::new();
        let mut time = String::new();
        for part in self.scheme.parts() {
            match *part {
                Part::TimestampHeader(name, format) => {
                    time = format.format(at);
                    headers.push((name, time.clone()));
                }
                Part::TimestampElement(prefix, format) => {
                    time = format.format(at);
                    let separator = self.scheme.separator.map(String::from).unwrap_or_default();
                    elements = format!("{prefix}{time}{separator}");
                }
                Part::Text(_) | Part::Id | Part::Url => {}
            }
        }
        if let Id::Header(name) = self.scheme.id {
            headers.push((name, id.to_owned()));
        }
        let signature = self.keys.sign(&self.signed(id, &time, body), self.scheme.encoding)?;
        headers.push((self.scheme.header, format!("{elements}{}{signature}", self.scheme.prefix)));
        Ok(headers)
    }

    /// [`verify`](Sender::verify) as it would go at another time, for tests and recorded deliveries.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    pub fn verify_at(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<HmacEvent, SignatureError> {
        self.verified(delivery, now).map_err(|error| refused(Self::NAME, error))
    }

    fn verified(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<HmacEvent, SignatureError> {
        self.check()?;
        let header = delivery.header(self.scheme.header)?;
        let signatures = self.signatures(header)?;
        let time = self.time(delivery, header)?;
        let id = match self.scheme.id {
            Id::Header(name) => self.id_in(delivery, name)?,
            Id::Body(_) | Id::BodyDigest => "",
        };
        let (text, seconds) = time.unzip();
        let signed = self.signed(id, text.unwrap_or_default(), delivery.body());
        self.keys.verify(&signed, self.scheme.encoding, &signatures.iter().copied())?;
        // The time is checked after the signature, so that only the sender learns about this clock.
        if let Some(seconds) = seconds {
            check_age(seconds, now, self.tolerance)?;
        }
        if let Some(TypePlace::Header(name)) = self.scheme.event_type {
            // This returns the error of the header itself.
            delivery.optional_header(name)?;
        }
        Ok(self.decode(delivery)?)
    }

    fn check(&self) -> Result<(), SignatureError> {
        match self.scheme.flaw(self.url.is_some()) {
            Some(reason) => Err(SignatureError::InvalidScheme { reason }),
            None => self.keys.check(),
        }
    }

    fn signatures<'d>(&self, header: &'d str) -> Result<Vec<&'d str>, SignatureError> {
        let malformed = |reason| Err(SignatureError::malformed(self.scheme.header, reason));
        let signatures: Vec<&str> = elements(&self.scheme, header)
            .filter_map(|element| element.strip_prefix(self.scheme.prefix))
            .collect();
        match signatures.len() {
            0 => malformed("it has no signature with the scheme's prefix"),
            1..=MAX_SIGNATURES => Ok(signatures),
            _ => malformed("it has more than 16 signatures"),
        }
    }

    /// The time as it was sent, whose bytes are signed, and in Unix seconds.
    fn time<'d>(
        &self,
        delivery: &Delivery<'d>,
        signature: &'d str,
    ) -> Result<Option<(&'d str, u64)>, SignatureError> {
        for part in self.scheme.parts() {
            let (header, text, format) = match *part {
                Part::TimestampHeader(name, format) => (name, delivery.header(name)?, format),
                Part::TimestampElement(prefix, format) => {
                    let header = self.scheme.header;
                    let mut times =
                        elements(&self.scheme, signature).filter_map(|element| element.strip_prefix(prefix));
                    match (times.next(), times.next()) {
                        (Some(time), None) => (header, time, format),
                        (None, _) => return Err(SignatureError::malformed(header, "it has no time")),
                        (Some(_), Some(_)) => {
                            return Err(SignatureError::malformed(header, "it has more than one time"));
                        }
                    }
                }
                Part::Text(_) | Part::Id | Part::Url => continue,
            };
            let malformed = || SignatureError::malformed(header, format.reason());
            return Ok(Some((text, format.parse(text).ok_or_else(malformed)?)));
        }
        Ok(None)
    }

    fn id_in<'d>(&self, delivery: &Delivery<'d>, name: &'static str) -> Result<&'d str, SignatureError> {
        let id = delivery.header(name)?;
        // The body is an object, so an id without braces and white space cannot take over bytes of the body.
        let may_be_signed = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{');
        if id.is_empty() {
            Err(SignatureError::malformed(name, "it is empty"))
        } else if self.scheme.signs_id() && !may_be_signed {
            Err(SignatureError::malformed(name, "it has a brace or white space"))
        } else {
            Ok(id)
        }
    }

    fn signed<'s>(&'s self, id: &'s str, time: &'s str, body: &'s [u8]) -> Vec<&'s [u8]> {
        let bytes = |part: &'s Part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Id => id.as_bytes(),
            Part::TimestampHeader(..) | Part::TimestampElement(..) => time.as_bytes(),
            Part::Url => self.url.as_deref().unwrap_or_default().as_bytes(),
        };
        let before = self.scheme.before.iter().map(bytes);
        before.chain([body]).chain(self.scheme.after.iter().map(bytes)).collect()
    }
}

/// The elements of the signature's header.
fn elements<'d>(scheme: &HmacScheme, header: &'d str) -> impl Iterator<Item = &'d str> + use<'d> {
    let (several, one) = match scheme.separator {
        Some(separator) => (Some(header.split(separator).map(str::trim)), None),
        None => (None, Some(header)),
    };
    several.into_iter().flatten().chain(one)
}

endpoint_secrets!(HmacWebhook, RULES, scheme, url, tolerance);

impl Sender for HmacWebhook {
    type Event = HmacEvent;
    const NAME: &'static str = "hmac";
    /// It depends on the scheme: see [`id_coverage`](Sender::id_coverage).
    const ID: IdCoverage = IdCoverage::Unsigned;

    fn id_coverage(&self) -> IdCoverage {
        match self.scheme.id {
            Id::Header(_) if !self.scheme.signs_id() => IdCoverage::Unsigned,
            Id::Header(_) | Id::Body(_) | Id::BodyDigest => IdCoverage::Signed,
        }
    }

    fn headers(&self) -> Vec<&'static str> {
        let id = match self.scheme.id {
            Id::Header(name) => Some(name),
            Id::Body(_) | Id::BodyDigest => None,
        };
        let event_type = match self.scheme.event_type {
            Some(TypePlace::Header(name)) => Some(name),
            Some(TypePlace::Body(_)) | None => None,
        };
        id.into_iter().chain(event_type).collect()
    }

    fn verify(&self, delivery: &Delivery<'_>) -> Result<HmacEvent, SignatureError> {
        self.verify_at(delivery, SystemTime::now())
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<HmacEvent, PayloadError> {
        let lacks = |what| PayloadError::no_event(Flaw::Lacks(what));
        let header = |name| delivery.header(name).ok().filter(|value| !value.is_empty()).map(str::to_owned);
        let body = Body::json_body(delivery.body())?;
        let [] = members(body.json(), [])?;
        let id = match self.scheme.id {
            Id::Header(name) => header(name).ok_or(lacks("the header of its id"))?,
            Id::Body(path) => strict_at(body.json(), path)?,
            Id::BodyDigest => body.digest(),
        };
        if id.is_empty() {
            return Err(lacks("a non-empty id"));
        }
        let event_type = match self.scheme.event_type {
            Some(TypePlace::Header(name)) => header(name),
            Some(TypePlace::Body(path)) => lenient_at(body.json(), path),
            None => None,
        };
        Ok(HmacEvent { id, event_type: event_type.unwrap_or_default(), body })
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
