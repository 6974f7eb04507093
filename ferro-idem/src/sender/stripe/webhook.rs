//! One endpoint's signing secrets.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::event::StripeEvent;
use crate::sender::clock::{check_age, unix_seconds};
use crate::sender::keys::{Encoding, Keys};
use crate::sender::refusal::refused;
use crate::sender::secret::Rules;
use crate::sender::timed::{Form, Reasons};
use crate::sender::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

/// The header that carries the signature: `Stripe-Signature`, in lower case as HTTP/2 sends it.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// Stripe's libraries accept a signature for five minutes (<https://docs.stripe.com/webhooks#replay-attacks>).
const TOLERANCE: Duration = Duration::from_mins(5);

const RULES: Rules = Rules {
    prefix: Some("whsec_"),
    api_keys: &["sk_", "rk_", "pk_"],
    ids: &["we_", "ed_"],
    own: &["whsec_"],
    is_free_text: false,
    without: &['\\', ','],
};

/// `t=1492774577,v1=5257a8...,v1=...,v0=...` (<https://docs.stripe.com/webhooks#verify-manually>).
const FORM: Form = Form {
    header: "Stripe-Signature",
    separator: ',',
    time: "t",
    signature: "v1",
    reasons: Reasons {
        no_time: "it has no `t=`",
        two_times: "it has more than one `t=`",
        bad_time: "its `t=` is not a Unix time in seconds",
        no_signature: "it has no `v1=`",
        too_many: "it has more than 16 `v1=`",
    },
};

/// Verifies that deliveries come from Stripe.
///
/// HMAC-SHA256 over `"{t}.{payload}"` with the endpoint's signing secret, compared in constant
/// time, over the raw bytes and before they are parsed
/// (<https://docs.stripe.com/webhooks#verify-manually>). Cloning is cheap; `Debug` shows no secret.
///
/// ```
/// use std::time::SystemTime;
/// use ferro_idem::stripe::{SignatureError, StripeWebhook};
///
/// let webhook = StripeWebhook::new("whsec_test");
/// let payload = br#"{"id": "evt_1", "object": "event", "type": "invoice.paid"}"#;
///
/// // In production the header comes from Stripe.
/// let header = webhook.sign(payload, SystemTime::now())?;
/// let event = webhook.verify(payload, &header)?;
/// assert_eq!(event.id(), "evt_1");
///
/// assert_eq!(webhook.verify(b"{}", &header).unwrap_err(), SignatureError::Mismatch);
/// # Ok::<(), SignatureError>(())
/// ```
#[derive(Clone)]
pub struct StripeWebhook {
    keys: Keys,
    tolerance: Duration,
}

impl StripeWebhook {
    /// An endpoint with this signing secret, the whole `whsec_...`.
    ///
    /// White space around it is ignored, because files and environments tend to add a line's end.
    ///
    /// A text that cannot be a signing secret (see [`InvalidSecret`]) is not used: if no other secret has signed a
    /// delivery, it is refused with [`SignatureError::InvalidSecret`], or with [`SignatureError::NoSecret`] if the
    /// text is empty. To learn of it when the server starts, use [`try_new`](Self::try_new).
    ///
    /// ```
    /// use ferro_idem::stripe::{InvalidSecret, SignatureError, StripeWebhook};
    ///
    /// let webhook = StripeWebhook::new("sk_live_1");
    /// let refused = webhook.verify(b"{}", "t=1,v1=00").unwrap_err();
    /// assert_eq!(refused, SignatureError::InvalidSecret(InvalidSecret::ApiKey));
    /// ```
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self::empty().with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::stripe::{InvalidSecret, StripeWebhook};
    ///
    /// assert!(StripeWebhook::try_new("whsec_test\n").is_ok());
    /// assert_eq!(StripeWebhook::try_new("").unwrap_err(), InvalidSecret::Empty);
    /// assert_eq!(StripeWebhook::try_new("test").unwrap_err(), InvalidSecret::NoPrefix { prefix: "whsec_" });
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be a signing secret, or does not begin with `whsec_`.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self::empty().try_with_secret(secret)
    }

    fn empty() -> Self {
        Self { keys: Keys::default(), tolerance: TOLERANCE }
    }

    /// The same endpoint with one more secret.
    ///
    /// While Stripe rolls a secret over, both are in use for up to a day
    /// (<https://docs.stripe.com/webhooks#roll-endpoint-secrets>). An empty second secret is ignored, so that it can
    /// come from a variable that is set only then.
    ///
    /// ```
    /// use ferro_idem::stripe::StripeWebhook;
    ///
    /// let webhook = StripeWebhook::new("whsec_old").with_secret("whsec_new");
    /// assert!(format!("{webhook:?}").contains("secrets: 2"));
    /// ```
    #[must_use]
    pub fn with_secret(mut self, secret: impl AsRef<str>) -> Self {
        self.keys.add(RULES.key(secret.as_ref()));
        self
    }

    /// [`with_secret`](Self::with_secret), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::stripe::{InvalidSecret, StripeWebhook};
    ///
    /// let webhook = StripeWebhook::try_new("whsec_old")?.try_with_secret("whsec_new")?;
    /// assert_eq!(webhook.try_with_secret("whsec_").unwrap_err(), InvalidSecret::PrefixOnly { prefix: "whsec_" });
    /// # Ok::<(), InvalidSecret>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be a signing secret, or does not begin with `whsec_`.
    pub fn try_with_secret(mut self, secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        self.keys.try_add(RULES.strict_key(secret.as_ref()))?;
        Ok(self)
    }

    /// The same endpoint with another tolerance than 300 s, for the age of a signature and for clocks that differ.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use ferro_idem::stripe::StripeWebhook;
    ///
    /// let webhook = StripeWebhook::new("whsec_test").with_tolerance(Duration::from_secs(30));
    /// let payload = br#"{"id": "evt_1", "type": "invoice.paid"}"#;
    /// let minute_old = webhook.sign(payload, SystemTime::now() - Duration::from_secs(60))?;
    /// assert!(webhook.verify(payload, &minute_old).is_err());
    /// # Ok::<(), ferro_idem::stripe::SignatureError>(())
    /// ```
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// Reads the event if `header`, the value of [`SIGNATURE_HEADER`], proves that Stripe sent exactly the bytes of
    /// `payload`, a short time ago.
    ///
    /// The example of [`StripeWebhook`] calls it.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    pub fn verify(&self, payload: &[u8], header: &str) -> Result<StripeEvent, SignatureError> {
        self.verify_at(payload, header, SystemTime::now())
    }

    /// [`verify`](Self::verify) as it would go at another time, for tests and recorded deliveries.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use ferro_idem::stripe::{SignatureError, StripeWebhook};
    ///
    /// let webhook = StripeWebhook::new("whsec_test");
    /// let payload = br#"{"id": "evt_1", "type": "invoice.paid"}"#;
    /// let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    /// let header = webhook.sign(payload, yesterday)?;
    /// assert!(webhook.verify(payload, &header).is_err());
    /// assert!(webhook.verify_at(payload, &header, yesterday).is_ok());
    /// # Ok::<(), SignatureError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn verify_at(
        &self,
        payload: &[u8],
        header: &str,
        now: SystemTime,
    ) -> Result<StripeEvent, SignatureError> {
        self.verified(payload, header, now).map_err(|error| refused(Self::NAME, error))
    }

    fn verified(&self, payload: &[u8], header: &str, now: SystemTime) -> Result<StripeEvent, SignatureError> {
        self.keys.check()?;
        let header = FORM.parse(header)?;
        let signed: [&[u8]; 3] = [header.timestamp.as_bytes(), b".", payload];
        self.keys.verify(&signed, Encoding::LowerHex, &header.signatures.iter().copied())?;
        // The time is checked after the signature, so that only the sender learns about this clock.
        check_age(header.seconds, now, self.tolerance)?;
        Ok(StripeEvent::from_verified(payload, header.seconds)?)
    }

    /// The header that Stripe would send with `payload` at `at`, for tests.
    ///
    /// It is signed with the newest secret. The example of [`StripeWebhook`] calls it.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] if there is none, or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, payload: &[u8], at: SystemTime) -> Result<String, SignatureError> {
        let timestamp = unix_seconds(at).to_string();
        let signature = self.keys.sign(&[timestamp.as_bytes(), b".", payload], Encoding::LowerHex)?;
        Ok(format!("t={timestamp},v1={signature}"))
    }
}

impl Sender for StripeWebhook {
    type Event = StripeEvent;
    const NAME: &'static str = "stripe";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, delivery: &Delivery<'_>) -> Result<StripeEvent, SignatureError> {
        let header = delivery.header(FORM.header).map_err(|error| refused(Self::NAME, error))?;
        self.verify(delivery.body(), header)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<StripeEvent, PayloadError> {
        StripeEvent::from_unverified(delivery.body())
    }
}

impl fmt::Debug for StripeWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("StripeWebhook");
        self.keys.show(&mut shown);
        shown.field("tolerance", &self.tolerance).finish()
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "header_tests.rs"]
mod header_tests;
