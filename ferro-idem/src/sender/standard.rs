//! Standard Webhooks, and Svix's names for the same headers: Svix itself, Clerk, Resend and many others.
//!
//! The id (`webhook-id`) is under the signature. Senders of this kind are advised to wait 15 to 30 seconds, and to try
//! again for days (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! The headers are `webhook-id`, `webhook-timestamp` and `webhook-signature`. A delivery without `webhook-signature`
//! is read by the names `svix-id`, `svix-timestamp` and `svix-signature`; the two families are never mixed.
//!
//! The secret says which signatures count: those of the scheme `v1` (HMAC-SHA256) for a `whsec_`, and under the feature
//! `standard-webhooks-ed25519` those of `v1a` (Ed25519) for a public key, `whpk_`. Others are ignored. An endpoint may
//! hold secrets of both kinds, for a sender that changes from one to the other.
//!
//! An id with a dot is refused: in `id.timestamp.body` it could move bytes of the body into the id.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use ferro_idem::sender::standard::StandardWebhook;
//! use ferro_idem::sender::{Delivery, Sender};
//!
//! let webhook = StandardWebhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
//! let body = br#"{"type": "contact.created", "data": {"id": "1f81eb52"}}"#;
//!
//! // In production the headers come from the sender.
//! let [id, timestamp, signature] = webhook.sign("msg_1", body, SystemTime::now())?;
//! let delivery = Delivery::new(body)
//!     .with_header("webhook-id", &id)
//!     .with_header("webhook-timestamp", &timestamp)
//!     .with_header("webhook-signature", &signature);
//!
//! let event = webhook.verify(&delivery)?;
//! assert_eq!((event.id(), event.event_type()), ("msg_1", "contact.created"));
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```

#[cfg(feature = "standard-webhooks-ed25519")]
mod ed25519;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

#[cfg(feature = "standard-webhooks-ed25519")]
use self::ed25519::{Ed25519Key, Ed25519Keys};
use super::body::Body;
use super::clock::{check_age, parse_seconds, unix_seconds};
use super::event::event_body;
use super::json::{lenient, members};
use super::keys::{Encoding, Keys};
use super::payload::Flaw;
use super::refusal::refused;
use super::secret::Rules;
use super::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

/// The tolerance of the specification's own libraries.
const TOLERANCE: Duration = Duration::from_mins(5);

/// A sender signs once for each secret.
const MAX_SIGNATURES: usize = 16;

/// Secrets are written with and without padding.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PREFIX: &str = "whsec_";
/// Keys for Ed25519: public ones, which receivers hold, and private ones.
const PUBLIC: &str = "whpk_";
const PRIVATE: &str = "whsk_";

const RULES: Rules = Rules {
    prefix: Some(PREFIX),
    api_keys: &["sk_", "testsk_"],
    ids: &["ep_"],
    own: &[PREFIX, PUBLIC, PRIVATE],
    is_free_text: false,
    without: &['\\', ','],
};

struct Headers {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

const STANDARD: Headers =
    Headers { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" };
const SVIX: Headers = Headers { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

/// Verifies that deliveries follow Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` in base64, compared in
/// constant time, or Ed25519 over the same bytes, within 300 s of this machine's clock.
///
/// The [module](self) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct StandardWebhook {
    keys: Keys,
    #[cfg(feature = "standard-webhooks-ed25519")]
    ed25519: Ed25519Keys,
    tolerance: Duration,
}

impl StandardWebhook {
    /// An endpoint with this signing secret: base64, with or without `whsec_` before it; or a public key, the whole
    /// `whpk_...`.
    ///
    /// A private key, `whsk_...` of 32 or 64 bytes, is taken too. It is what tests sign with.
    ///
    /// White space around it is ignored. A text that cannot be the secret (see [`InvalidSecret`]) is not used, and
    /// deliveries are refused with the reason.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self::empty().with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::sender::InvalidSecret;
    /// use ferro_idem::sender::standard::StandardWebhook;
    ///
    /// assert_eq!(StandardWebhook::try_new("whsec_no base64").unwrap_err(), InvalidSecret::Characters);
    /// assert_eq!(StandardWebhook::try_new("whsec_===").unwrap_err(), InvalidSecret::NotBase64);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the secret.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self::empty().try_with_secret(secret)
    }

    fn empty() -> Self {
        Self {
            keys: Keys::default(),
            #[cfg(feature = "standard-webhooks-ed25519")]
            ed25519: Ed25519Keys::default(),
            tolerance: TOLERANCE,
        }
    }

    /// The same endpoint with one more secret, for a rotation. Each of them is accepted, and an empty one is ignored.
    #[must_use]
    pub fn with_secret(mut self, secret: impl AsRef<str>) -> Self {
        match self.add(secret.as_ref()) {
            Ok(()) | Err(InvalidSecret::Empty) => {}
            Err(flaw) => self.keys.note(flaw),
        }
        self
    }

    /// [`with_secret`](Self::with_secret), for a server that does not start with a wrong secret.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the secret.
    pub fn try_with_secret(mut self, secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        self.add(secret.as_ref())?;
        Ok(self)
    }

    fn add(&mut self, secret: &str) -> Result<(), InvalidSecret> {
        let secret = RULES.trim(secret)?;
        for prefix in [PUBLIC, PRIVATE] {
            if let Some(key) = secret.strip_prefix(prefix) {
                return if key.is_empty() {
                    Err(InvalidSecret::PrefixOnly { prefix })
                } else {
                    self.add_ed25519(prefix, &decode(key)?)
                };
            }
        }
        self.keys.try_add(Ok(&decode(secret.strip_prefix(PREFIX).unwrap_or(secret))?))
    }

    #[cfg(feature = "standard-webhooks-ed25519")]
    fn add_ed25519(&mut self, prefix: &str, key: &[u8]) -> Result<(), InvalidSecret> {
        self.ed25519.add(if prefix == PUBLIC { Ed25519Key::public(key)? } else { Ed25519Key::private(key)? });
        Ok(())
    }

    #[cfg(not(feature = "standard-webhooks-ed25519"))]
    #[expect(clippy::unused_self, reason = "there is nowhere to keep such a key")]
    fn add_ed25519(&mut self, _: &str, _: &[u8]) -> Result<(), InvalidSecret> {
        Err(InvalidSecret::FeatureOff { feature: "standard-webhooks-ed25519" })
    }

    /// The same endpoint with another tolerance than 300 s.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// The values of `webhook-id`, `webhook-timestamp` and `webhook-signature` that a sender would send with `body` at
    /// `at`, for tests. They are signed with the newest secret of each kind.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`], or [`SignatureError::InvalidSecret`], also if there are only public keys.
    pub fn sign(&self, id: &str, body: &[u8], at: SystemTime) -> Result<[String; 3], SignatureError> {
        self.check_keys()?;
        let timestamp = unix_seconds(at).to_string();
        let signed = signed(id, &timestamp, body);
        let mut signatures = Vec::new();
        if !self.keys.is_empty() {
            signatures.push(format!("v1,{}", self.keys.sign(&signed, Encoding::Base64)?));
        }
        #[cfg(feature = "standard-webhooks-ed25519")]
        match self.ed25519.sign(&signed) {
            Ok(signature) => signatures.extend(signature.map(|signature| format!("v1a,{signature}"))),
            Err(error) if signatures.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok([id.to_owned(), timestamp, signatures.join(" ")])
    }

    /// [`verify`](Sender::verify) as it would go at another time, for tests and recorded deliveries.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    pub fn verify_at(
        &self,
        delivery: &Delivery<'_>,
        now: SystemTime,
    ) -> Result<StandardEvent, SignatureError> {
        self.verified(delivery, now).map_err(|error| refused(Self::NAME, error))
    }

    fn verified(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<StandardEvent, SignatureError> {
        self.check_keys()?;
        let headers = headers(delivery)?;
        let malformed = |header, reason| Err(SignatureError::malformed(header, reason));
        let id = delivery.header(headers.id)?;
        let timestamp = delivery.header(headers.timestamp)?;
        let signature = delivery.header(headers.signature)?;
        if id.is_empty() {
            return malformed(headers.id, "it is empty");
        }
        if id.contains('.') {
            return malformed(headers.id, "it has a dot");
        }
        let Some(seconds) = parse_seconds(timestamp) else {
            return malformed(headers.timestamp, "it is not a Unix time in seconds");
        };
        let [has_hmac, has_ed25519] = self.kinds();
        let given = |scheme| signature.split(' ').filter_map(move |element| element.strip_prefix(scheme));
        let hmac = given("v1,").filter(|_| has_hmac);
        let ed25519 = given("v1a,").filter(|_| has_ed25519);
        let reasons = match (has_hmac, has_ed25519) {
            (_, false) => ["it has no `v1,`", "it has more than 16 `v1,`"],
            (false, true) => ["it has no `v1a,`", "it has more than 16 `v1a,`"],
            (true, true) => ["it has no `v1,` or `v1a,`", "it has more than 16 of `v1,` and `v1a,`"],
        };
        let [none, too_many] = reasons;
        match hmac.clone().count() + ed25519.clone().count() {
            0 => return malformed(headers.signature, none),
            1..=MAX_SIGNATURES => {}
            _ => return malformed(headers.signature, too_many),
        }
        let signed = signed(id, timestamp, delivery.body());
        let matches = self.keys.matches(&signed, Encoding::Base64, &hmac);
        #[cfg(feature = "standard-webhooks-ed25519")]
        let matches = matches || self.ed25519.matches(&signed, ed25519);
        if !matches {
            return Err(self.keys.mismatch());
        }
        // The time is checked after the signature, so that only the sender learns about this clock.
        check_age(seconds, now, self.tolerance)?;
        Ok(self.decode(delivery)?)
    }

    /// Whether there are keys for HMAC, and for Ed25519.
    fn kinds(&self) -> [bool; 2] {
        #[cfg(feature = "standard-webhooks-ed25519")]
        let has_ed25519 = self.ed25519.len() > 0;
        #[cfg(not(feature = "standard-webhooks-ed25519"))]
        let has_ed25519 = false;
        [!self.keys.is_empty(), has_ed25519]
    }

    fn check_keys(&self) -> Result<(), SignatureError> {
        let [_, has_ed25519] = self.kinds();
        if has_ed25519 { Ok(()) } else { self.keys.check() }
    }
}

/// The bytes that the secret's base64 stands for.
fn decode(secret: &str) -> Result<Vec<u8>, InvalidSecret> {
    let key = SECRET.decode(secret).ok();
    key.filter(|key| !key.is_empty()).ok_or(InvalidSecret::NotBase64)
}

fn signed<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

/// The family that the delivery's signature belongs to.
fn headers(delivery: &Delivery<'_>) -> Result<&'static Headers, SignatureError> {
    let has = |name| delivery.optional_header(name).map(|header| header.is_some());
    Ok(if !has(STANDARD.signature)? && has(SVIX.signature)? { &SVIX } else { &STANDARD })
}

impl Sender for StandardWebhook {
    type Event = StandardEvent;
    const NAME: &'static str = "standard-webhooks";
    const ID: IdCoverage = IdCoverage::Signed;
    const HEADERS: &'static [&'static str] = &[STANDARD.id, STANDARD.signature, SVIX.id, SVIX.signature];

    fn verify(&self, delivery: &Delivery<'_>) -> Result<StandardEvent, SignatureError> {
        self.verify_at(delivery, SystemTime::now())
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<StandardEvent, PayloadError> {
        let lacks = || PayloadError::no_event(Flaw::Lacks("the header of its id"));
        let headers = headers(delivery).map_err(|_| lacks())?;
        let id = delivery.header(headers.id).map_err(|_| lacks())?.to_owned();
        let body = Body::json_body(delivery.body())?;
        let [event_type] = members(body.json(), ["type"])?;
        Ok(StandardEvent { id, event_type: lenient(event_type.last).unwrap_or_default(), body })
    }
}

impl std::fmt::Debug for StandardWebhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("StandardWebhook");
        self.keys.show(&mut shown);
        #[cfg(feature = "standard-webhooks-ed25519")]
        shown.field("ed25519_keys", &self.ed25519.len());
        shown.field("tolerance", &self.tolerance).finish()
    }
}

/// An event that was sent by Standard Webhooks. Its id is under the signature.
///
/// The body is a JSON object. The specification gives it a `type`, which not every sender does.
#[derive(Clone)]
pub struct StandardEvent {
    id: String,
    event_type: String,
    body: Body,
}

impl StandardEvent {
    /// `webhook-id`, the same in every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What happened: `contact.created`. Empty if the body has no string at `type`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }
}

event_body!(StandardEvent);

#[cfg(test)]
#[path = "standard_tests.rs"]
mod tests;
