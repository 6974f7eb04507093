//! Why a request is not an event, and how it is answered.

use std::error::Error;

use super::error::SignatureError;
use crate::reply::Settle;

/// Why a request did not become an event.
///
/// The answer tells the sender nothing: neither which rule a forgery broke nor what this server lacks. The reason is in
/// the error's message. Under the feature `tracing` it is logged at WARN, without the payload.
///
/// ```
/// use ferro_idem::sender::github::GithubWebhook;
/// use ferro_idem::sender::{Delivery, Verified};
///
/// let github = GithubWebhook::new("It's a Secret to Everybody");
/// let rejection = Verified::read(&github, &Delivery::new(b"{}")).unwrap_err();
/// assert_eq!((rejection.status(), rejection.body()), (400, String::new()));
/// assert_eq!(rejection.to_string(), "the request has no X-Hub-Signature-256 header");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SenderRejection {
    /// The request is not signed by the sender, or it is and the body is not an event: 400. 500 if this server has no
    /// secret.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The same for Stripe. Its dashboard shows the answer to the endpoint's owner, so the answer names the rule.
    #[error(transparent)]
    Explained(SignatureError),
    /// The body is over the limit: 413.
    #[error("the body is larger than the limit of this server")]
    BodyTooLarge,
    /// The body could not be read: 400.
    #[error("the body could not be read")]
    BodyUnreadable(#[source] Box<dyn Error + Send + Sync>),
    /// The application does not hold the sender that the extractor verifies with: 500.
    #[error("the application has no `{0}` to verify with")]
    NoSender(&'static str),
    /// The request is no event but the sender's handshake: 200 with the body that it asks for.
    #[error("the request is a handshake")]
    Handshake(String),
}

impl SenderRejection {
    /// The status to answer with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Signature(error) | Self::Explained(error) => error.status(),
            Self::BodyUnreadable(_) => 400,
            Self::BodyTooLarge => 413,
            Self::NoSender(_) => 500,
            Self::Handshake(_) => 200,
        }
    }

    /// The text to answer with. It is empty, but for a handshake and for Stripe.
    pub fn body(&self) -> String {
        match self {
            Self::Explained(error) => error.to_string(),
            Self::Handshake(body) => body.clone(),
            _ => String::new(),
        }
    }

    /// Lets the answer say why the request was refused.
    #[cfg(feature = "stripe")]
    pub(crate) fn explained(self) -> Self {
        match self {
            Self::Signature(error) => Self::Explained(error),
            other => other,
        }
    }

    /// Logs a request that was refused before its signature was checked.
    #[cfg(any(feature = "axum", feature = "actix-web", feature = "poem", feature = "inbox"))]
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nothing is logged"))]
    pub(crate) fn logged(self, sender: &'static str) -> Self {
        #[cfg(feature = "tracing")]
        if let Some(rule) = self.rule() {
            tracing::warn!(target: "ferro_idem", sender, rule, error = %self, "request refused");
        }
        self
    }

    #[cfg(all(
        feature = "tracing",
        any(feature = "axum", feature = "actix-web", feature = "poem", feature = "inbox")
    ))]
    const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::BodyTooLarge => Some("body_too_large"),
            Self::BodyUnreadable(_) => Some("body_unreadable"),
            Self::NoSender(_) => Some("no_sender"),
            Self::Signature(_) | Self::Explained(_) | Self::Handshake(_) => None,
        }
    }
}

/// Processed if it is a handshake, which is answered with 200.
#[diagnostic::do_not_recommend]
impl Settle for SenderRejection {
    fn is_processed(&self) -> bool {
        matches!(self, Self::Handshake(_))
    }
}

/// Never processed.
#[diagnostic::do_not_recommend]
impl Settle for SignatureError {
    fn is_processed(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::InvalidSecret;
    use super::*;

    #[test]
    fn a_forger_gets_400_without_a_reason() {
        let missing = SignatureError::MissingHeader { header: "X-Signature" };
        let invalid = SignatureError::InvalidSecret(InvalidSecret::ApiKey);
        for (error, status) in [(missing, 400), (SignatureError::NoSecret, 500), (invalid, 500)] {
            assert_eq!(error.status(), status);
            let rejection = SenderRejection::from(error.clone());
            assert_eq!((rejection.status(), rejection.body()), (status, String::new()));
            let explained = SenderRejection::Explained(error.clone());
            assert_eq!((explained.status(), explained.body()), (status, error.to_string()));
        }
    }

    #[test]
    fn only_a_handshake_is_answered_with_a_success() {
        for (rejection, status) in [
            (SenderRejection::Handshake("challenge".to_owned()), 200),
            (SenderRejection::BodyTooLarge, 413),
            (SenderRejection::BodyUnreadable("cut off".into()), 400),
            (SenderRejection::NoSender("GithubWebhook"), 500),
        ] {
            assert_eq!(rejection.status(), status);
            assert_eq!(rejection.is_processed(), status == 200);
        }
    }
}
