//! Square's deliveries.
//!
//! The id (`event_id` of the body) is under the signature. There is no timestamp, so a delivery can be replayed for
//! ever: the fence is what stops it. Square wants an answer as soon as possible (older copies of its documentation say
//! 10 seconds), and tries again for 24 hours
//! (<https://developer.squareup.com/docs/webhooks/step3validate>).
//!
//! The signature covers the notification URL **byte for byte as it is configured** at Square: with or without a slash at
//! its end, whatever a proxy makes of it.
//!
//! ```
//! use ferro_idem::sender::square::SquareWebhook;
//! use ferro_idem::sender::{Delivery, Sender};
//!
//! let square = SquareWebhook::new("asdf1234", "https://example.com/webhook");
//! let body = br#"{"type": "payment.created", "event_id": "6a8f5f28-54a1-4eb0-a98a-3111513fd4fc"}"#;
//!
//! // In production the header comes from Square.
//! let signature = square.sign(body)?;
//! let delivery = Delivery::new(body).with_header("x-square-hmacsha256-signature", &signature);
//! assert_eq!(square.verify(&delivery)?.event_type(), "payment.created");
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```

use std::iter;
use std::sync::Arc;

use super::body::Body;
use super::endpoint::endpoint_secrets;
use super::event::event_body;
use super::json::{lenient, members};
use super::keys::{Encoding, Keys};
use super::payload::Flaw;
use super::refusal::refused;
use super::secret::Rules;
use super::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

const SIGNATURE: &str = "x-square-hmacsha256-signature";

const RULES: Rules = Rules {
    prefix: None,
    api_keys: &["EAAA", "sq0atp-", "sq0csp-"],
    ids: &["sq0idp-", "wbhk_"],
    own: &[],
    is_free_text: false,
    without: &['\\', ','],
};

/// Verifies that deliveries come from Square: HMAC-SHA256 over the notification URL and the raw body in base64, compared
/// in constant time.
///
/// The [module](self) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct SquareWebhook {
    keys: Keys,
    url: Arc<str>,
}

impl SquareWebhook {
    /// A subscription with this signature key and this notification URL.
    ///
    /// White space around the key is ignored. A text that cannot be the key (see [`InvalidSecret`]) is not used, and
    /// deliveries are refused with the reason.
    pub fn new(secret: impl AsRef<str>, url: impl Into<Arc<str>>) -> Self {
        Self { keys: Keys::default(), url: url.into() }.with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong key.
    ///
    /// ```
    /// use ferro_idem::sender::InvalidSecret;
    /// use ferro_idem::sender::square::SquareWebhook;
    ///
    /// assert_eq!(SquareWebhook::try_new("", "https://example.com").unwrap_err(), InvalidSecret::Empty);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the key.
    pub fn try_new(secret: impl AsRef<str>, url: impl Into<Arc<str>>) -> Result<Self, InvalidSecret> {
        Self { keys: Keys::default(), url: url.into() }.try_with_secret(secret)
    }

    /// The value of `x-square-hmacsha256-signature` that Square would send with `body`, for tests. It is signed with the
    /// newest key.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, body: &[u8]) -> Result<String, SignatureError> {
        self.keys.sign(&[self.url.as_bytes(), body], Encoding::Base64)
    }

    fn verified(&self, delivery: &Delivery<'_>) -> Result<SquareEvent, SignatureError> {
        self.keys.check()?;
        let signature = delivery.header(SIGNATURE)?;
        let signed = [self.url.as_bytes(), delivery.body()];
        self.keys.verify(&signed, Encoding::Base64, &iter::once(signature))?;
        Ok(self.decode(delivery)?)
    }
}

endpoint_secrets!(SquareWebhook, RULES, url);

impl Sender for SquareWebhook {
    type Event = SquareEvent;
    const NAME: &'static str = "square";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, delivery: &Delivery<'_>) -> Result<SquareEvent, SignatureError> {
        self.verified(delivery).map_err(|error| refused(Self::NAME, error))
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<SquareEvent, PayloadError> {
        let body = Body::json_body(delivery.body())?;
        let text = body.json();
        let [id, event_type, merchant] = members(text, ["event_id", "type", "merchant_id"])?;
        let id = id.strict(text, "`event_id`")?;
        if id.is_empty() {
            return Err(PayloadError::no_event(Flaw::Lacks("a non-empty `event_id`")));
        }
        Ok(SquareEvent {
            id,
            event_type: lenient(event_type.last).unwrap_or_default(),
            merchant_id: lenient(merchant.last),
            body,
        })
    }
}

/// An event of Square. Its id is under the signature.
///
/// Only a string at `event_id` is required, exactly once. What else the body says is optional.
#[derive(Clone)]
pub struct SquareEvent {
    id: String,
    event_type: String,
    merchant_id: Option<String>,
    body: Body,
}

impl SquareEvent {
    /// `event_id`, the same in every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What happened: `payment.created`. Empty if the body does not say so.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The merchant that the event is about.
    pub fn merchant_id(&self) -> Option<&str> {
        self.merchant_id.as_deref()
    }
}

event_body!(SquareEvent);

#[cfg(test)]
#[path = "square_tests.rs"]
mod tests;
