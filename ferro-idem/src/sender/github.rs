//! GitHub's deliveries.
//!
//! **The id is not under the signature.** GitHub signs the body only
//! (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>): somebody who holds one
//! delivery with its signature can send it again under another `X-GitHub-Delivery`, and it runs again. If that
//! matters, use [`GithubEvent::signed_key`] as the `event_id`. GitHub waits 10 seconds (30 on Enterprise Server) and
//! **never delivers again by itself**; a person or a script can, for 3 days, under the same id
//! (<https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>). An answer of 409 or 503
//! is therefore a lost event, unless you redeliver it.
//!
//! ```
//! use ferro_idem::sender::github::GithubWebhook;
//! use ferro_idem::sender::{Delivery, Sender};
//!
//! let github = GithubWebhook::new("It's a Secret to Everybody");
//! let body = br#"{"action": "opened", "repository": {"full_name": "octo/hello"}}"#;
//!
//! // In production the headers come from GitHub.
//! let signature = github.sign(body)?;
//! let delivery = Delivery::new(body)
//!     .with_header("X-Hub-Signature-256", &signature)
//!     .with_header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
//!     .with_header("X-GitHub-Event", "issues");
//!
//! let event = github.verify(&delivery)?;
//! assert_eq!((event.event_type(), event.action()), ("issues", Some("opened")));
//! assert_eq!(event.repository(), Some("octo/hello"));
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```

use std::iter;

use super::body::Body;
use super::endpoint::endpoint_secrets;
use super::event::event_body;
use super::json::{lenient, members, within};
use super::keys::{Encoding, Keys};
use super::payload::Flaw;
use super::refusal::refused;
use super::secret::Rules;
use super::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

const SIGNATURE: &str = "X-Hub-Signature-256";
const DELIVERY: &str = "X-GitHub-Delivery";
const EVENT: &str = "X-GitHub-Event";

const RULES: Rules = Rules {
    prefix: None,
    api_keys: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    ids: &[],
    own: &[],
    is_free_text: true,
    without: &[],
};

/// Verifies that deliveries come from GitHub: HMAC-SHA256 over the raw body, in lower-case hex, compared in constant
/// time.
///
/// The [module](self) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct GithubWebhook {
    keys: Keys,
}

impl GithubWebhook {
    /// A webhook with this secret, the text of the field "Secret" in its settings.
    ///
    /// White space around it is ignored. A text that cannot be the secret (see [`InvalidSecret`]) is not used, and
    /// deliveries are refused with the reason.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self { keys: Keys::default() }.with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::sender::InvalidSecret;
    /// use ferro_idem::sender::github::GithubWebhook;
    ///
    /// assert_eq!(GithubWebhook::try_new("ghp_token").unwrap_err(), InvalidSecret::ApiKey);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the secret.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self { keys: Keys::default() }.try_with_secret(secret)
    }

    /// The value of `X-Hub-Signature-256` that GitHub would send with `body`, for tests. It is signed with the newest
    /// secret.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, body: &[u8]) -> Result<String, SignatureError> {
        Ok(format!("sha256={}", self.keys.sign(&[body], Encoding::LowerHex)?))
    }

    fn verified(&self, delivery: &Delivery<'_>) -> Result<GithubEvent, SignatureError> {
        self.keys.check()?;
        let header = delivery.header(SIGNATURE)?;
        let Some(signature) = header.strip_prefix("sha256=") else {
            return Err(SignatureError::malformed(SIGNATURE, "it does not begin with `sha256=`"));
        };
        self.keys.verify(&[delivery.body()], Encoding::LowerHex, &iter::once(signature))?;
        // Checked here for the error that names the header, because a proxy may have dropped it.
        for header in [DELIVERY, EVENT] {
            if delivery.header(header)?.is_empty() {
                return Err(SignatureError::malformed(header, "it is empty"));
            }
        }
        Ok(self.decode(delivery)?)
    }
}

impl Sender for GithubWebhook {
    type Event = GithubEvent;
    const NAME: &'static str = "github";
    const ID: IdCoverage = IdCoverage::Unsigned;
    const HEADERS: &'static [&'static str] = &[DELIVERY, EVENT];

    fn verify(&self, delivery: &Delivery<'_>) -> Result<GithubEvent, SignatureError> {
        self.verified(delivery).map_err(|error| refused(Self::NAME, error))
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<GithubEvent, PayloadError> {
        let lacks = |header| PayloadError::no_event(Flaw::Lacks(header));
        let header = |name, lacking| {
            let value = delivery.header(name).ok().filter(|value| !value.is_empty());
            value.map(str::to_owned).ok_or(lacks(lacking))
        };
        let body = Body::json_or_form(delivery.body(), "payload")?;
        let [action, repository, installation] =
            members(body.json(), ["action", "repository", "installation"])?.map(|member| member.last);
        let [full_name] = within(repository, ["full_name"]);
        let [installation_id] = within(installation, ["id"]);
        Ok(GithubEvent {
            id: header(DELIVERY, "the X-GitHub-Delivery header")?,
            event_type: header(EVENT, "the X-GitHub-Event header")?,
            action: lenient(action),
            repository: lenient(full_name),
            installation_id: lenient(installation_id),
            body,
        })
    }
}

endpoint_secrets!(GithubWebhook, RULES);

/// An event of GitHub. **Its id is not under the signature**: see the [module](self).
///
/// Only the headers `X-GitHub-Delivery` and `X-GitHub-Event` and a JSON object are required, in the body or in the form
/// field `payload`. What else the body says is optional.
#[derive(Clone)]
pub struct GithubEvent {
    id: String,
    event_type: String,
    action: Option<String>,
    repository: Option<String>,
    installation_id: Option<u64>,
    body: Body,
}

impl GithubEvent {
    /// `X-GitHub-Delivery`, the same in every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `X-GitHub-Event`: `push`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// What happened, for the events that have actions: `opened`.
    pub fn action(&self) -> Option<&str> {
        self.action.as_deref()
    }

    /// The full name of the repository: `octo/hello`.
    pub fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// The installation of the GitHub App that the event is for.
    pub fn installation_id(&self) -> Option<u64> {
        self.installation_id
    }

    /// A key made from the signed bytes, 64 hex digits: a delivery that is replayed under another id has the same.
    ///
    /// ```
    /// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
    /// # use ferro_idem::sender::github::GithubEvent;
    /// #[idempotent_webhook(event_id = event.signed_key())]
    /// async fn on_event(log: &MemoryProcessedLog, event: GithubEvent) -> Result<(), Error> {
    ///     Ok(())
    /// }
    /// ```
    ///
    /// It is not the default, because two honest events can have equal bytes, such as two `ping` events.
    pub fn signed_key(&self) -> String {
        self.body.digest()
    }
}

event_body!(GithubEvent);

#[cfg(test)]
#[path = "github_tests.rs"]
mod tests;
