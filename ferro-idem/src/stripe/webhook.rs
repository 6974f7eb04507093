//! One endpoint's signing secrets.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::event::StripeEvent;
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
    /// Keyed once, cloned for each delivery. Never empty of its own accord: see [`Self::new`].
    keys: Arc<[Hmac<Sha256>]>,
    tolerance: Duration,
}

impl StripeWebhook {
    /// An endpoint with this signing secret, the whole `whsec_...`.
    ///
    /// White space around it is ignored, as files and environments tend to add a line's end. An
    /// empty secret is not used: with no other one, every delivery is refused with
    /// [`SignatureError::NoSecret`].
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self { keys: Arc::from([]), tolerance: TOLERANCE }.with_secret(secret)
    }

    /// The same endpoint with one more secret: while Stripe rolls a secret over, both are in use
    /// for up to a day (<https://docs.stripe.com/webhooks#roll-endpoint-secrets>).
    #[must_use]
    pub fn with_secret(self, secret: impl AsRef<str>) -> Self {
        let secret = secret.as_ref().trim().as_bytes();
        let key = Hmac::new_from_slice(secret).ok().filter(|_| !secret.is_empty());
        Self { keys: self.keys.iter().cloned().chain(key).collect(), ..self }
    }

    /// The same endpoint with another tolerance than 300 s, for the age of a signature and for
    /// clocks that differ.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// Takes `payload` for an event if `header`, the value of [`SIGNATURE_HEADER`], proves that
    /// Stripe sent exactly these bytes, a short time ago.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    pub fn verify(&self, payload: &[u8], header: &str) -> Result<StripeEvent, SignatureError> {
        self.verify_at(payload, header, SystemTime::now())
    }

    /// [`verify`](Self::verify) as it would go at another time, for tests and recorded deliveries.
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
        if self.keys.is_empty() {
            return Err(SignatureError::NoSecret);
        }
        let header = SignatureHeader::parse(header)?;
        if !self.is_signed(payload, &header) {
            return Err(SignatureError::Mismatch);
        }
        // After the signature, so that nobody without the secret learns about this clock.
        self.check_age(&header, now)?;
        Ok(StripeEvent::from_verified(payload)?)
    }

    /// The header that Stripe would send with `payload` at `at`, for tests.
    ///
    /// Signed with the newest secret.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] where there is none.
    pub fn sign(&self, payload: &[u8], at: SystemTime) -> Result<String, SignatureError> {
        let key = self.keys.last().ok_or(SignatureError::NoSecret)?;
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
        formatter
            .debug_struct("StripeWebhook")
            .field("secrets", &self.keys.len())
            .field("tolerance", &self.tolerance)
            .finish()
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
