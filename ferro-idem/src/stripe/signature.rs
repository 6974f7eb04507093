//! The `Stripe-Signature` header.

use std::time::Duration;

use super::payload::PayloadError;
use super::secret::InvalidSecret;

/// Stripe's own are under 200 bytes.
const MAX_HEADER_BYTES: usize = 4096;

/// Stripe sends one per secret, two while a secret rolls over.
const MAX_SIGNATURES: usize = 16;

/// Why a delivery is not accepted as Stripe's. Nothing was parsed, fenced or run.
///
/// Messages never hold the secret, a signature or the payload.
///
/// ```
/// use ferro_idem::stripe::{SignatureError, StripeWebhook};
///
/// let webhook = StripeWebhook::new("whsec_test");
/// let refused = webhook.verify(b"{}", "v1=00").unwrap_err();
/// assert!(matches!(refused, SignatureError::MalformedHeader { .. }));
/// assert_eq!(refused.to_string(), "the Stripe-Signature header is malformed: it has no `t=`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no `Stripe-Signature` header: the request is not from Stripe, or a proxy drops it.
    #[error("the request has no Stripe-Signature header")]
    MissingHeader,
    /// There is more than one header, and it is unknown which one counts.
    #[error("the request has more than one Stripe-Signature header")]
    RepeatedHeader,
    /// The header is not of the form `t=...,v1=...`.
    #[error("the Stripe-Signature header is malformed: {reason}")]
    #[non_exhaustive]
    MalformedHeader {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No signature was made with one of the secrets over exactly these bytes.
    ///
    /// The CLI's secret (`stripe listen`) differs from the one on the dashboard's page, and each endpoint has its
    /// own.
    #[error(
        "no signature in the Stripe-Signature header matches: the endpoint's signing secret (`whsec_...`) \
         differs, or the body was changed on the way (verify the raw bytes, not re-encoded JSON)"
    )]
    Mismatch,
    /// The signature is right and too old: a replay, or this machine's clock is ahead.
    #[error(
        "the signature is {}s old, more than the tolerance of {}s: a replay, or this machine's clock is wrong",
        age.as_secs(), tolerance.as_secs()
    )]
    #[non_exhaustive]
    Stale {
        /// The time since the signature was made.
        age: Duration,
        /// The time that is accepted.
        tolerance: Duration,
    },
    /// The signature is right and made for a later time: this machine's clock is behind.
    #[error(
        "the signature is {}s in the future, more than the tolerance of {}s: this machine's clock is wrong",
        ahead.as_secs(), tolerance.as_secs()
    )]
    #[non_exhaustive]
    InFuture {
        /// The time until the signature's moment.
        ahead: Duration,
        /// The time that is accepted.
        tolerance: Duration,
    },
    /// The signing secret is empty, and anybody can sign with that.
    #[error("the webhook's signing secret is empty: set it to the endpoint's `whsec_...`")]
    NoSecret,
    /// What was configured is not a signing secret, and no other secret has made the signature.
    #[error("what is configured is not the endpoint's signing secret, `whsec_...`: {0}")]
    InvalidSecret(#[from] InvalidSecret),
    /// The signature is right, and the body is not an event.
    #[error("the signature is right, but {0}")]
    Payload(#[from] PayloadError),
}

impl SignatureError {
    /// Whether this server is at fault and not the request: it has no secret to verify with.
    #[cfg(feature = "axum")]
    pub(crate) const fn is_own_fault(&self) -> bool {
        matches!(self, Self::NoSecret | Self::InvalidSecret(_))
    }

    /// The rule that refused the delivery, as a name for logs and alerts.
    #[cfg(feature = "tracing")]
    pub(super) const fn rule(&self) -> &'static str {
        match self {
            Self::MissingHeader => "missing_header",
            Self::RepeatedHeader => "repeated_header",
            Self::MalformedHeader { .. } => "malformed_header",
            Self::Mismatch => "mismatch",
            Self::Stale { .. } => "stale",
            Self::InFuture { .. } => "in_future",
            Self::NoSecret => "no_secret",
            Self::InvalidSecret(_) => "invalid_secret",
            Self::Payload(_) => "payload",
        }
    }
}

/// The header's elements. They are not trusted yet.
pub(super) struct SignatureHeader<'a> {
    /// As it was sent: these bytes are signed.
    pub(super) timestamp: &'a str,
    pub(super) seconds: u64,
    pub(super) v1: Vec<&'a str>,
}

impl<'a> SignatureHeader<'a> {
    /// Reads `t=1492774577,v1=5257a8...,v1=...,v0=...`. Schemes other than `v1` are ignored, so
    /// that nobody can choose a weaker one (<https://docs.stripe.com/webhooks#verify-manually>).
    pub(super) fn parse(header: &'a str) -> Result<Self, SignatureError> {
        let malformed = |reason| Err(SignatureError::MalformedHeader { reason });
        if header.len() > MAX_HEADER_BYTES {
            return malformed("it is over 4096 bytes long");
        }
        let mut timestamp = None;
        let mut v1 = Vec::new();
        for element in header.split(',') {
            match element.trim().split_once('=') {
                Some(("t", value)) => {
                    if timestamp.replace(value).is_some() {
                        return malformed("it has more than one `t=`");
                    }
                }
                Some(("v1", value)) => v1.push(value),
                Some(_) => {}
                None => return malformed("an element has no `=`"),
            }
        }
        let Some(timestamp) = timestamp else {
            return malformed("it has no `t=`");
        };
        // `u64::from_str` takes a leading `+`.
        let all_digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let Some(seconds) = timestamp.parse().ok().filter(|_| all_digits) else {
            return malformed("its `t=` is not a Unix time in seconds");
        };
        if v1.is_empty() {
            return malformed("it has no `v1=`");
        }
        if v1.len() > MAX_SIGNATURES {
            return malformed("it has more than 16 `v1=`");
        }
        Ok(Self { timestamp, seconds, v1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(header: &str) -> &'static str {
        match SignatureHeader::parse(header).map(|_| ()) {
            Err(SignatureError::MalformedHeader { reason }) => reason,
            other => panic!("{header:?}: {other:?}"),
        }
    }

    #[test]
    fn the_documented_form_is_read() {
        let header = SignatureHeader::parse("t=1492774577,v1=aa,v1=bb,v0=cc").unwrap();
        assert_eq!((header.timestamp, header.seconds), ("1492774577", 1_492_774_577));
        assert_eq!(header.v1, ["aa", "bb"]);
    }

    #[test]
    fn each_malformed_header_is_told_what_is_wrong() {
        assert_eq!(reason(""), "an element has no `=`");
        assert_eq!(reason("t=1,v1"), "an element has no `=`");
        assert_eq!(reason("v1=aa"), "it has no `t=`");
        assert_eq!(reason("t=1"), "it has no `v1=`");
        assert_eq!(reason("t=1,v0=aa"), "it has no `v1=`");
        assert_eq!(reason("t=1,t=2,v1=aa"), "it has more than one `t=`");
        for time in ["", "+1", "-1", "1.5", "1e3", " 1", "now", "99999999999999999999"] {
            assert_eq!(reason(&format!("t={time},v1=aa")), "its `t=` is not a Unix time in seconds");
        }
        assert_eq!(reason(&format!("t=1{}", ",v1=aa".repeat(17))), "it has more than 16 `v1=`");
        assert_eq!(reason(&format!("t=1,v1={}", "a".repeat(4096))), "it is over 4096 bytes long");
        assert_eq!(
            reason("t=1,v1=aa, t=1,v1=aa"),
            "it has more than one `t=`",
            "two headers that a proxy joined"
        );
    }

    #[test]
    fn a_header_at_the_limits_is_read() {
        let sixteen = format!("t=1{}", ",v1=aa".repeat(16));
        assert_eq!(SignatureHeader::parse(&sixteen).unwrap().v1.len(), 16);
        let longest = format!("t=1,v1={}", "a".repeat(4096 - 7));
        assert_eq!(longest.len(), 4096);
        assert!(SignatureHeader::parse(&longest).is_ok());
        assert_eq!(reason(&format!("{longest}a")), "it is over 4096 bytes long");
    }
}
