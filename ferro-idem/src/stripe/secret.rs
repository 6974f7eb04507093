//! What is told apart from a signing secret before it is used as one.

use hmac::{Hmac, KeyInit};
use sha2::Sha256;

/// Why a text cannot be an endpoint's signing secret.
///
/// A signing secret begins with `whsec_`. The dashboard shows it on the endpoint's page, and `stripe listen` prints
/// it (<https://docs.stripe.com/webhooks#verify-official-libraries>). Messages never hold the text.
///
/// ```
/// use ferro_idem::stripe::{InvalidSecret, StripeWebhook};
///
/// assert_eq!(StripeWebhook::try_new("sk_live_1").unwrap_err(), InvalidSecret::ApiKey);
/// assert_eq!(StripeWebhook::try_new("'whsec_1'").unwrap_err(), InvalidSecret::Quoted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// Nothing but white space: an unset variable.
    #[error("it is empty")]
    Empty,
    /// `sk_`, `rk_` or `pk_`.
    #[error("it is an API key, and deliveries are signed with another secret")]
    ApiKey,
    /// `we_` or `ed_`.
    #[error("it is the endpoint's id, not its secret")]
    EndpointId,
    /// With a quotation mark at an end, as some environment files leave it.
    #[error("it is in quotation marks")]
    Quoted,
    /// `whsec_`, and no secret.
    #[error("it ends after `whsec_`")]
    PrefixOnly,
    /// Something stands before `whsec_`: a variable's name, or another secret.
    #[error("something stands before `whsec_`")]
    NotAtStart,
    /// White space inside of it, a control character, a backslash, a comma, or anything beyond ASCII.
    #[error("it holds a character that no signing secret has")]
    Characters,
    /// Only [`StripeWebhook::try_new`](super::StripeWebhook::try_new) is that strict.
    #[error("it does not begin with `whsec_`")]
    NoPrefix,
}

const PREFIX: &str = "whsec_";

/// The key of a secret, white space around it removed.
pub(super) fn key(secret: &str) -> Result<Hmac<Sha256>, InvalidSecret> {
    let secret = secret.trim();
    check(secret)?;
    // HMAC takes a key of any length.
    Hmac::new_from_slice(secret.as_bytes()).map_err(|_| InvalidSecret::Characters)
}

/// [`key`], for secrets that begin with `whsec_` only.
pub(super) fn strict_key(secret: &str) -> Result<Hmac<Sha256>, InvalidSecret> {
    let key = key(secret)?;
    if secret.trim().starts_with(PREFIX) { Ok(key) } else { Err(InvalidSecret::NoPrefix) }
}

fn check(secret: &str) -> Result<(), InvalidSecret> {
    let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| secret.starts_with(prefix));
    let quotes = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '\u{ab}', '\u{bb}'];
    if secret.is_empty() {
        Err(InvalidSecret::Empty)
    } else if secret.starts_with(quotes) || secret.ends_with(quotes) {
        Err(InvalidSecret::Quoted)
    } else if begins_with(&["sk_", "rk_", "pk_"]) {
        Err(InvalidSecret::ApiKey)
    } else if begins_with(&["we_", "ed_"]) {
        Err(InvalidSecret::EndpointId)
    } else if secret == PREFIX {
        Err(InvalidSecret::PrefixOnly)
    } else if secret.rfind(PREFIX).is_some_and(|index| index > 0) {
        Err(InvalidSecret::NotAtStart)
    } else if !secret.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b',')) {
        Err(InvalidSecret::Characters)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_signing_secret_is_told_apart() {
        use InvalidSecret::{
            ApiKey, Characters, Empty, EndpointId, NoPrefix, NotAtStart, PrefixOnly, Quoted,
        };
        for (secret, flaw) in [
            ("", Empty),
            (" \r\n\t", Empty),
            ("sk_live_1", ApiKey),
            ("sk_test_1\n", ApiKey),
            ("rk_live_1", ApiKey),
            ("pk_live_1", ApiKey),
            ("we_1", EndpointId),
            ("ed_test_1", EndpointId),
            ("\"whsec_1\"", Quoted),
            ("'whsec_1'", Quoted),
            ("\"whsec_1", Quoted),
            ("whsec_1'", Quoted),
            ("\u{201c}whsec_1\u{201d}", Quoted),
            ("\"sk_live_1\"", Quoted),
            ("\"\"", Quoted),
            ("whsec_", PrefixOnly),
            (" whsec_\n", PrefixOnly),
            ("STRIPE_WEBHOOK_SECRET=whsec_1", NotAtStart),
            ("whsec_1,whsec_2", NotAtStart),
            ("whsec_whsec_1", NotAtStart),
            ("\u{feff}whsec_1", NotAtStart),
            ("whsec_1 # live", Characters),
            ("whsec_1\\n", Characters),
            ("whsec_1\u{200b}", Characters),
            ("whsec_\0", Characters),
            ("whsec_1\nwhsec", Characters),
        ] {
            assert_eq!(key(secret).map(drop), Err(flaw), "{secret:?}");
            assert_eq!(strict_key(secret).map(drop), Err(flaw), "{secret:?}");
            assert_eq!(flaw.to_string().find("_1"), None, "{secret:?}");
        }
        assert_eq!(strict_key("secret").map(drop), Err(NoPrefix));
    }

    #[test]
    fn a_secret_is_taken_with_white_space_around_it() {
        for secret in ["whsec_1", " whsec_1\r\n", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "whsec_a-b_c.d"]
        {
            assert!(strict_key(secret).is_ok(), "{secret:?}");
        }
        assert!(key("secret").is_ok(), "without a prefix, it may be a test's");
    }
}
