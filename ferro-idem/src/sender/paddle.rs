//! Paddle's deliveries.
//!
//! The id (`event_id` of the body, not `notification_id`) is under the signature. Paddle waits 5 seconds, and tries 60
//! times over 3 days in production (<https://developer.paddle.com/webhooks/respond-to-webhooks>).
//!
//! The signature's time may differ from this machine's clock by 5 seconds, as in Paddle's own libraries
//! (<https://developer.paddle.com/webhooks/signature-verification>): keep the clock in step, or widen the
//! [tolerance](PaddleWebhook::with_tolerance).
//!
//! ```
//! use std::time::SystemTime;
//!
//! use ferro_idem::sender::paddle::PaddleWebhook;
//! use ferro_idem::sender::{Delivery, Sender};
//!
//! let paddle = PaddleWebhook::new("pdl_ntfset_test");
//! let body = br#"{"event_id": "evt_01", "event_type": "transaction.completed"}"#;
//!
//! // In production the header comes from Paddle.
//! let signature = paddle.sign(body, SystemTime::now())?;
//! let delivery = Delivery::new(body).with_header("Paddle-Signature", &signature);
//! assert_eq!(paddle.verify(&delivery)?.event_type(), "transaction.completed");
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```

use std::time::{Duration, SystemTime};

use super::body::Body;
use super::clock::{check_age, unix_seconds};
use super::endpoint::endpoint_secrets;
use super::event::event_body;
use super::json::{lenient, members};
use super::keys::{Encoding, Keys};
use super::payload::Flaw;
use super::refusal::refused;
use super::secret::Rules;
use super::timed::{Form, Reasons};
use super::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

/// Paddle's libraries accept a signature for five seconds.
const TOLERANCE: Duration = Duration::from_secs(5);

/// `ts=1671552777;h1=eb4d0d...;h1=...`.
const FORM: Form = Form {
    header: "Paddle-Signature",
    separator: ';',
    time: "ts",
    signature: "h1",
    reasons: Reasons {
        no_time: "it has no `ts=`",
        two_times: "it has more than one `ts=`",
        bad_time: "its `ts=` is not a Unix time in seconds",
        no_signature: "it has no `h1=`",
        too_many: "it has more than 16 `h1=`",
    },
};

const RULES: Rules = Rules {
    prefix: Some("pdl_ntfset_"),
    api_keys: &["pdl_live_apikey_", "pdl_sdbx_apikey_"],
    ids: &["ntfset_"],
    own: &["pdl_ntfset_"],
    is_free_text: false,
    without: &['\\', ','],
};

/// Verifies that deliveries come from Paddle: HMAC-SHA256 over `ts:body` in lower-case hex, compared in constant time,
/// within 5 s of this machine's clock.
///
/// The [module](self) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct PaddleWebhook {
    keys: Keys,
    tolerance: Duration,
}

impl PaddleWebhook {
    /// A notification destination with this secret key, the whole `pdl_ntfset_...`.
    ///
    /// White space around it is ignored. A text that cannot be the secret (see [`InvalidSecret`]) is not used, and
    /// deliveries are refused with the reason.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self { keys: Keys::default(), tolerance: TOLERANCE }.with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::sender::InvalidSecret;
    /// use ferro_idem::sender::paddle::PaddleWebhook;
    ///
    /// assert_eq!(PaddleWebhook::try_new("pdl_live_apikey_1").unwrap_err(), InvalidSecret::ApiKey);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the secret, or does not begin with `pdl_ntfset_`.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self { keys: Keys::default(), tolerance: TOLERANCE }.try_with_secret(secret)
    }

    /// The same destination with another tolerance than 5 s.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// The value of `Paddle-Signature` that Paddle would send with `body` at `at`, for tests. It is signed with the newest
    /// secret.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, body: &[u8], at: SystemTime) -> Result<String, SignatureError> {
        let timestamp = unix_seconds(at).to_string();
        let signature = self.keys.sign(&[timestamp.as_bytes(), b":", body], Encoding::LowerHex)?;
        Ok(format!("ts={timestamp};h1={signature}"))
    }

    /// [`verify`](Sender::verify) as it would go at another time, for tests and recorded deliveries.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    pub fn verify_at(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<PaddleEvent, SignatureError> {
        self.verified(delivery, now).map_err(|error| refused(Self::NAME, error))
    }

    fn verified(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<PaddleEvent, SignatureError> {
        self.keys.check()?;
        let header = delivery.header(FORM.header)?;
        // A proxy joins repeated headers like this, and repeated headers are refused too.
        if header.contains(',') {
            return Err(SignatureError::malformed(FORM.header, "it has more than one value"));
        }
        let header = FORM.parse(header)?;
        let signed: [&[u8]; 3] = [header.timestamp.as_bytes(), b":", delivery.body()];
        self.keys.verify(&signed, Encoding::LowerHex, &header.signatures.iter().copied())?;
        // The time is checked after the signature, so that only the sender learns about this clock.
        check_age(header.seconds, now, self.tolerance)?;
        Ok(self.decode(delivery)?)
    }
}

endpoint_secrets!(PaddleWebhook, RULES, tolerance);

impl Sender for PaddleWebhook {
    type Event = PaddleEvent;
    const NAME: &'static str = "paddle";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, delivery: &Delivery<'_>) -> Result<PaddleEvent, SignatureError> {
        self.verify_at(delivery, SystemTime::now())
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<PaddleEvent, PayloadError> {
        let body = Body::json_body(delivery.body())?;
        let text = body.json();
        let [id, event_type, notification, occurred] =
            members(text, ["event_id", "event_type", "notification_id", "occurred_at"])?;
        let id = id.strict(text, "`event_id`")?;
        if id.is_empty() {
            return Err(PayloadError::no_event(Flaw::Lacks("a non-empty `event_id`")));
        }
        Ok(PaddleEvent {
            id,
            event_type: lenient(event_type.last).unwrap_or_default(),
            notification_id: lenient(notification.last),
            occurred_at: lenient(occurred.last),
            body,
        })
    }
}

/// An event of Paddle. Its id is under the signature.
///
/// Only a string at `event_id` is required, exactly once. What else the body says is optional.
#[derive(Clone)]
pub struct PaddleEvent {
    id: String,
    event_type: String,
    notification_id: Option<String>,
    occurred_at: Option<String>,
    body: Body,
}

impl PaddleEvent {
    /// `event_id`, the same in every redelivery and for every destination.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What happened: `transaction.completed`. Empty if the body does not say so.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The notification, of which a replay by hand makes a new one.
    pub fn notification_id(&self) -> Option<&str> {
        self.notification_id.as_deref()
    }

    /// When it happened, in RFC 3339. Do not order events by the time of their arrival.
    pub fn occurred_at(&self) -> Option<&str> {
        self.occurred_at.as_deref()
    }
}

event_body!(PaddleEvent);

#[cfg(test)]
#[path = "paddle_tests.rs"]
mod tests;
