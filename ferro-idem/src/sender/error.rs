//! Why a delivery is refused.

use std::time::Duration;

use super::payload::PayloadError;
use super::secret::InvalidSecret;

/// Why a delivery is not accepted as the sender's. Nothing was fenced or run.
///
/// Messages never hold the secret, a header's value or the payload.
///
/// ```
/// use ferro_idem::sender::SignatureError;
///
/// let error = SignatureError::malformed("X-Signature", "it has no time");
/// assert_eq!(error.to_string(), "the X-Signature header is malformed: it has no time");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is missing: the request is not from this sender, or a proxy drops it.
    #[error("the request has no {header} header")]
    MissingHeader {
        /// Its name.
        header: &'static str,
    },
    /// There is more than one header, and it is unknown which one counts.
    #[error("the request has more than one {header} header")]
    RepeatedHeader {
        /// Its name.
        header: &'static str,
    },
    /// A header is not of the form that the sender gives it.
    #[error("the {header} header is malformed: {reason}")]
    MalformedHeader {
        /// Its name.
        header: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No signature was made with one of the secrets over exactly these bytes.
    ///
    /// Stripe's CLI (`stripe listen`) signs with another secret than the one on the dashboard's page, and each endpoint
    /// has its own.
    #[error(
        "no signature matches: the endpoint's signing secret differs, or the body was changed on the way \
         (verify the raw bytes, not re-encoded JSON)"
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
    #[error("the webhook's signing secret is empty")]
    NoSecret,
    /// What was configured is not a signing secret, and no other secret has made the signature.
    #[error("what is configured is not the endpoint's signing secret: {0}")]
    InvalidSecret(#[from] InvalidSecret),
    /// The endpoint was described in a way that verifies nothing.
    #[error("the endpoint's scheme is invalid: {reason}")]
    InvalidScheme {
        /// What makes no sense.
        reason: &'static str,
    },
    /// The signature is right, and the body is not an event.
    #[error("the signature is right, but {0}")]
    Payload(#[from] PayloadError),
}

impl SignatureError {
    /// A [`SignatureError::MalformedHeader`].
    pub const fn malformed(header: &'static str, reason: &'static str) -> Self {
        Self::MalformedHeader { header, reason }
    }

    /// The HTTP status to answer with: 400, or 500 if this server has no secret to verify with.
    ///
    /// ```
    /// use ferro_idem::sender::SignatureError;
    ///
    /// assert_eq!(SignatureError::Mismatch.status(), 400);
    /// assert_eq!(SignatureError::NoSecret.status(), 500);
    /// ```
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoSecret | Self::InvalidSecret(_) | Self::InvalidScheme { .. } => 500,
            _ => 400,
        }
    }

    /// The rule that refused the delivery, as a name for logs and alerts.
    #[cfg(feature = "tracing")]
    pub(super) const fn rule(&self) -> &'static str {
        match self {
            Self::MissingHeader { .. } => "missing_header",
            Self::RepeatedHeader { .. } => "repeated_header",
            Self::MalformedHeader { .. } => "malformed_header",
            Self::Mismatch => "mismatch",
            Self::Stale { .. } => "stale",
            Self::InFuture { .. } => "in_future",
            Self::NoSecret => "no_secret",
            Self::InvalidSecret(_) => "invalid_secret",
            Self::InvalidScheme { .. } => "invalid_scheme",
            Self::Payload(_) => "payload",
        }
    }
}
