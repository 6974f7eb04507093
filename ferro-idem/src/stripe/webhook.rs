//! One endpoint's signing secrets.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::event::StripeEvent;
use super::refused;
use super::secret::{self, InvalidSecret};
use super::signature::{SignatureError, SignatureHeader};

/// The header that carries the signature: `Stripe-Signature`, in lower case as HTTP/2 sends it.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// Stripe's libraries accept a signature for five minutes (<https://docs.stripe.com/webhooks#replay-attacks>).
const TOLERANCE: Duration = Duration::from_mins(5);

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
    /// Keyed once, cloned for each delivery.
    keys: Arc<[Hmac<Sha256>]>,
    /// What was configured as a secret and cannot be one.
    flaw: Option<InvalidSecret>,
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
    /// assert_eq!(StripeWebhook::try_new("test").unwrap_err(), InvalidSecret::NoPrefix);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be a signing secret, or does not begin with `whsec_`.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self::empty().try_with_secret(secret)
    }

    fn empty() -> Self {
        Self { keys: Arc::from([]), flaw: None, tolerance: TOLERANCE }
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
        match secret::key(secret.as_ref()) {
            Ok(key) => self.keys = self.keys.iter().cloned().chain([key]).collect(),
            Err(InvalidSecret::Empty) => {}
            Err(flaw) => self.flaw = Some(flaw),
        }
        self
    }

    /// [`with_secret`](Self::with_secret), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::stripe::{InvalidSecret, StripeWebhook};
    ///
    /// let webhook = StripeWebhook::try_new("whsec_old")?.try_with_secret("whsec_new")?;
    /// assert_eq!(webhook.try_with_secret("whsec_").unwrap_err(), InvalidSecret::PrefixOnly);
    /// # Ok::<(), InvalidSecret>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be a signing secret, or does not begin with `whsec_`.
    pub fn try_with_secret(mut self, secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        let key = secret::strict_key(secret.as_ref())?;
        self.keys = self.keys.iter().cloned().chain([key]).collect();
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
        self.verified(payload, header, now).map_err(refused)
    }

    fn verified(&self, payload: &[u8], header: &str, now: SystemTime) -> Result<StripeEvent, SignatureError> {
        if self.keys.is_empty() {
            return Err(self.no_secret());
        }
        let header = SignatureHeader::parse(header)?;
        if !self.is_signed(payload, &header) {
            return Err(self.flaw.map_or(SignatureError::Mismatch, SignatureError::InvalidSecret));
        }
        // After the signature, so that nobody without the secret learns about this clock.
        self.check_age(&header, now)?;
        Ok(StripeEvent::from_verified(payload, header.seconds)?)
    }

    fn no_secret(&self) -> SignatureError {
        self.flaw.map_or(SignatureError::NoSecret, SignatureError::InvalidSecret)
    }

    /// The header that Stripe would send with `payload` at `at`, for tests.
    ///
    /// It is signed with the newest secret. The example of [`StripeWebhook`] calls it.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] if there is none, or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, payload: &[u8], at: SystemTime) -> Result<String, SignatureError> {
        let key = self.keys.last().ok_or_else(|| self.no_secret())?;
        let timestamp = unix_seconds(at).to_string();
        Ok(format!("t={timestamp},v1={}", signature(key, &timestamp, payload)))
    }

    fn is_signed(&self, payload: &[u8], header: &SignatureHeader<'_>) -> bool {
        self.keys.iter().any(|key| {
            let expected = signature(key, header.timestamp, payload);
            header.v1.iter().any(|given| expected.as_bytes().ct_eq(given.as_bytes()).into())
        })
    }

    fn check_age(&self, header: &SignatureHeader<'_>, now: SystemTime) -> Result<(), SignatureError> {
        let tolerance = self.tolerance;
        let now = unix_seconds(now);
        let age = Duration::from_secs(now.saturating_sub(header.seconds));
        let ahead = Duration::from_secs(header.seconds.saturating_sub(now));
        if age > tolerance {
            Err(SignatureError::Stale { age, tolerance })
        } else if ahead > tolerance {
            Err(SignatureError::InFuture { ahead, tolerance })
        } else {
            Ok(())
        }
    }
}

/// In lower-case hex, as Stripe writes it.
fn signature(key: &Hmac<Sha256>, timestamp: &str, payload: &[u8]) -> String {
    let signed = key.clone().chain_update(timestamp).chain_update(b".").chain_update(payload);
    hex::encode(signed.finalize().into_bytes())
}

/// A time before 1970 counts as 1970.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl fmt::Debug for StripeWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("StripeWebhook");
        shown.field("secrets", &self.keys.len()).field("tolerance", &self.tolerance);
        if let Some(flaw) = &self.flaw {
            shown.field("invalid_secret", flaw);
        }
        shown.finish()
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
