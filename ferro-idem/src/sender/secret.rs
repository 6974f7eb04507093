//! Detects texts that cannot be a signing secret, such as API keys and endpoint ids.

/// Why a text cannot be an endpoint's signing secret. Messages never hold the text.
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
    /// The text is empty or white space, as from an unset variable.
    #[error("it is empty")]
    Empty,
    /// A key or token for the sender's API: Stripe's `sk_`, `rk_` and `pk_`, GitHub's `ghp_`, Slack's `xoxb-`.
    #[error("it is an API key, and deliveries are signed with another secret")]
    ApiKey,
    /// The id of the endpoint: Stripe's `we_` or `ed_`.
    #[error("it is the endpoint's id, not its secret")]
    EndpointId,
    /// The signing secret of another sender, by its prefix.
    #[error("it is the signing secret of another sender")]
    OtherSender,
    /// The text begins or ends with a quotation mark, which some environment files leave there.
    #[error("it is in quotation marks")]
    Quoted,
    /// The text is the prefix without a secret.
    #[error("it ends after `{prefix}`")]
    PrefixOnly {
        /// What a secret begins with.
        prefix: &'static str,
    },
    /// Something stands before the prefix: a variable's name, or another secret.
    #[error("something stands before `{prefix}`")]
    NotAtStart {
        /// What a secret begins with.
        prefix: &'static str,
    },
    /// A character that no signing secret of this sender has: white space inside of it, a control character, or
    /// anything beyond ASCII.
    #[error("it holds a character that no signing secret has")]
    Characters,
    /// The prefix is missing. Only the constructors that can fail are that strict.
    #[error("it does not begin with `{prefix}`")]
    NoPrefix {
        /// What a secret begins with.
        prefix: &'static str,
    },
    /// The text is not base64, which encodes the key.
    #[error("it is not base64")]
    NotBase64,
    /// A key for Ed25519 (`whpk_` or `whsk_`) that is not one: of another length, not a point of the curve, or of small
    /// order, so that anybody can sign for it.
    #[error("it is not a valid Ed25519 key")]
    NotEd25519,
    /// A key for Ed25519, which needs a feature of this crate.
    #[error("it is an Ed25519 key, and the feature `{feature}` is off")]
    FeatureOff {
        /// The feature.
        feature: &'static str,
    },
    /// A public key: it verifies, and cannot sign.
    #[error("it is a public key, which cannot sign")]
    PublicKey,
}

/// The prefixes of the senders whose secrets have one.
pub(super) const PREFIXES: &[&str] = &["whsec_", "whpk_", "whsk_", "pdl_ntfset_", "shpss_"];

/// The form of a sender's secrets.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// What a secret begins with, if it has a prefix.
    pub(super) prefix: Option<&'static str>,
    /// What the sender's API keys begin with.
    pub(super) api_keys: &'static [&'static str],
    /// What its ids begin with.
    pub(super) ids: &'static [&'static str],
    /// Which of the [`PREFIXES`] the sender's own secrets have.
    pub(super) own: &'static [&'static str],
    /// Whether people choose the secret, so that it may hold any character but control characters.
    pub(super) is_free_text: bool,
    /// ASCII characters that no secret of the sender has.
    pub(super) without: &'static [char],
}

impl Rules {
    /// The secret without white space around it, which files and environments tend to add.
    pub(super) fn trim<'s>(&self, secret: &'s str) -> Result<&'s str, InvalidSecret> {
        const QUOTES: [char; 9] =
            ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '\u{ab}', '\u{bb}'];
        let secret = secret.trim();
        let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| secret.starts_with(prefix));
        let is_legal = |c: char| {
            let is_in_range = if self.is_free_text { !c.is_control() } else { c.is_ascii_graphic() };
            is_in_range && !self.without.contains(&c)
        };
        let (is_open, is_closed) = (secret.starts_with(QUOTES), secret.ends_with(QUOTES));
        let is_quoted = if self.is_free_text { is_open && is_closed } else { is_open || is_closed };
        if secret.is_empty() {
            Err(InvalidSecret::Empty)
        } else if is_quoted {
            Err(InvalidSecret::Quoted)
        } else if begins_with(self.api_keys) {
            Err(InvalidSecret::ApiKey)
        } else if begins_with(self.ids) {
            Err(InvalidSecret::EndpointId)
        } else if begins_with(PREFIXES) && !begins_with(self.own) {
            Err(InvalidSecret::OtherSender)
        } else if let Some(prefix) = self.prefix.filter(|prefix| secret == *prefix) {
            Err(InvalidSecret::PrefixOnly { prefix })
        } else if let Some(prefix) =
            self.prefix.filter(|prefix| secret.rfind(prefix).is_some_and(|at| at > 0))
        {
            Err(InvalidSecret::NotAtStart { prefix })
        } else if !secret.chars().all(is_legal) {
            Err(InvalidSecret::Characters)
        } else {
            Ok(secret)
        }
    }

    pub(super) fn key<'s>(&self, secret: &'s str) -> Result<&'s [u8], InvalidSecret> {
        self.trim(secret).map(str::as_bytes)
    }

    /// [`key`](Self::key), for secrets that have the prefix only.
    pub(super) fn strict_key<'s>(&self, secret: &'s str) -> Result<&'s [u8], InvalidSecret> {
        let secret = self.trim(secret)?;
        match self.prefix.filter(|prefix| !secret.starts_with(prefix)) {
            Some(prefix) => Err(InvalidSecret::NoPrefix { prefix }),
            None => Ok(secret.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "whsec_";
    const STRIPE: Rules = Rules {
        prefix: Some(PREFIX),
        api_keys: &["sk_", "rk_", "pk_"],
        ids: &["we_", "ed_"],
        own: &[PREFIX],
        is_free_text: false,
        without: &['\\', ','],
    };

    fn key(secret: &str) -> Result<&[u8], InvalidSecret> {
        STRIPE.key(secret)
    }

    fn strict_key(secret: &str) -> Result<&[u8], InvalidSecret> {
        STRIPE.strict_key(secret)
    }

    #[test]
    fn what_is_no_signing_secret_is_told_apart() {
        use InvalidSecret::{
            ApiKey, Characters, Empty, EndpointId, NoPrefix, NotAtStart, OtherSender, PrefixOnly, Quoted,
        };
        let prefix = PREFIX;
        let (only, not_at_start) = (PrefixOnly { prefix }, NotAtStart { prefix });
        for (secret, flaw) in [
            ("", Empty),
            (" \r\n\t", Empty),
            ("sk_live_1", ApiKey),
            ("sk_test_1\n", ApiKey),
            ("rk_live_1", ApiKey),
            ("pk_live_1", ApiKey),
            ("pdl_ntfset_1", OtherSender),
            ("shpss_1", OtherSender),
            ("whpk_1", OtherSender),
            ("we_1", EndpointId),
            ("ed_test_1", EndpointId),
            ("\"whsec_1\"", Quoted),
            ("'whsec_1'", Quoted),
            ("\"whsec_1", Quoted),
            ("whsec_1'", Quoted),
            ("\u{201c}whsec_1\u{201d}", Quoted),
            ("\"sk_live_1\"", Quoted),
            ("\"\"", Quoted),
            ("whsec_", only),
            (" whsec_\n", only),
            ("STRIPE_WEBHOOK_SECRET=whsec_1", not_at_start),
            ("whsec_1,whsec_2", not_at_start),
            ("whsec_whsec_1", not_at_start),
            ("\u{feff}whsec_1", not_at_start),
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
        assert_eq!(strict_key("secret").map(drop), Err(NoPrefix { prefix }));
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
