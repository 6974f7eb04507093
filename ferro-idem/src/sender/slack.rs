//! Slack's deliveries of the Events API.
//!
//! The id (`event_id` of the body) is under the signature. Slack waits **3 seconds**, and delivers again 3 times: at
//! once, after a minute and after 5 minutes (<https://docs.slack.dev/apis/events-api/#retries>). A handler that takes
//! longer, and an answer of 409 or 503 to the last try, is a lost event: answer first and work in the background.
//!
//! Two requests are handshakes, which the extractor answers without the handler: a **signed** `url_verification` is
//! answered with its challenge, and the form `ssl_check=1` with 200
//! (<https://docs.slack.dev/reference/events/url_verification>).
//!
//! ```
//! use std::time::SystemTime;
//!
//! use ferro_idem::sender::slack::SlackWebhook;
//! use ferro_idem::sender::{Delivery, Sender};
//!
//! let slack = SlackWebhook::new("8f742231b10e8888abcd99yyyzzz85a5");
//! let body = br#"{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}"#;
//!
//! // In production the headers come from Slack.
//! let [timestamp, signature] = slack.sign(body, SystemTime::now())?;
//! let delivery = Delivery::new(body)
//!     .with_header("X-Slack-Request-Timestamp", &timestamp)
//!     .with_header("X-Slack-Signature", &signature);
//!
//! let event = slack.verify(&delivery)?;
//! assert_eq!((event.id(), event.event_type()), ("Ev1", "app_mention"));
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```

use std::iter;
use std::time::{Duration, SystemTime};

use super::body::{Body, form_field};
use super::clock::{check_age, parse_seconds, unix_seconds};
use super::endpoint::endpoint_secrets;
use super::event::event_body;
use super::json::{self, lenient, members, within};
use super::keys::{Encoding, Keys};
use super::payload::Flaw;
use super::refusal::refused;
use super::secret::Rules;
use super::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

const SIGNATURE: &str = "X-Slack-Signature";
const TIMESTAMP: &str = "X-Slack-Request-Timestamp";
const RETRY: &str = "X-Slack-Retry-Num";

/// Slack's libraries accept a signature for five minutes
/// (<https://docs.slack.dev/authentication/verifying-requests-from-slack>).
const TOLERANCE: Duration = Duration::from_mins(5);

/// Longer bodies are no handshake.
const MAX_HANDSHAKE_BYTES: usize = 4096;

const RULES: Rules = Rules {
    prefix: None,
    api_keys: &["xoxb-", "xoxp-", "xoxa-", "xoxe", "xoxs-", "xapp-"],
    ids: &[],
    own: &[],
    is_free_text: false,
    without: &['\\', ','],
};

/// Verifies that deliveries come from Slack: HMAC-SHA256 over `v0:timestamp:body` in lower-case hex, compared in
/// constant time, within 300 s of this machine's clock.
///
/// The [module](self) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct SlackWebhook {
    keys: Keys,
    tolerance: Duration,
}

impl SlackWebhook {
    /// An app with this signing secret, from "Basic Information" in its settings.
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
    /// use ferro_idem::sender::slack::SlackWebhook;
    ///
    /// assert_eq!(SlackWebhook::try_new("xoxb-1").unwrap_err(), InvalidSecret::ApiKey);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the secret.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self { keys: Keys::default(), tolerance: TOLERANCE }.try_with_secret(secret)
    }

    /// The same app with another tolerance than 300 s.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// The values of `X-Slack-Request-Timestamp` and `X-Slack-Signature` that Slack would send with `body` at `at`, for
    /// tests. They are signed with the newest secret.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, body: &[u8], at: SystemTime) -> Result<[String; 2], SignatureError> {
        let timestamp = unix_seconds(at).to_string();
        let signature = self.keys.sign(&signed(&timestamp, body), Encoding::LowerHex)?;
        Ok([timestamp, format!("v0={signature}")])
    }

    /// [`verify`](Sender::verify) as it would go at another time, for tests and recorded deliveries.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    pub fn verify_at(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<SlackEvent, SignatureError> {
        let verified = self.check(delivery, now).and_then(|()| Ok(self.decode(delivery)?));
        verified.map_err(|error| refused(Self::NAME, error))
    }

    fn check(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<(), SignatureError> {
        self.keys.check()?;
        let timestamp = delivery.header(TIMESTAMP)?;
        let signature = delivery.header(SIGNATURE)?;
        let Some(seconds) = parse_seconds(timestamp) else {
            return Err(SignatureError::malformed(TIMESTAMP, "it is not a Unix time in seconds"));
        };
        let Some(signature) = signature.strip_prefix("v0=") else {
            return Err(SignatureError::malformed(SIGNATURE, "it does not begin with `v0=`"));
        };
        self.keys.verify(&signed(timestamp, delivery.body()), Encoding::LowerHex, &iter::once(signature))?;
        // The time is checked after the signature, so that only the sender learns about this clock.
        check_age(seconds, now, self.tolerance)
    }
}

endpoint_secrets!(SlackWebhook, RULES, tolerance);

fn signed<'a>(timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 4] {
    [b"v0:", timestamp.as_bytes(), b":", body]
}

impl Sender for SlackWebhook {
    type Event = SlackEvent;
    const NAME: &'static str = "slack";
    const ID: IdCoverage = IdCoverage::Signed;
    const HEADERS: &'static [&'static str] = &[RETRY];

    fn verify(&self, delivery: &Delivery<'_>) -> Result<SlackEvent, SignatureError> {
        self.verify_at(delivery, SystemTime::now())
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<SlackEvent, PayloadError> {
        let body = Body::json_body(delivery.body())?;
        let text = body.json();
        let [id, outer_type, team, event] = members(text, ["event_id", "type", "team_id", "event"])?;
        let [inner_type] = within(event.last, ["type"]);
        let id = id.strict(text, "`event_id`")?;
        if id.is_empty() {
            return Err(PayloadError::no_event(Flaw::Lacks("a non-empty `event_id`")));
        }
        Ok(SlackEvent {
            id,
            event_type: lenient(inner_type).or_else(|| lenient(outer_type.last)).unwrap_or_default(),
            team_id: lenient(team.last),
            event: json::range_in(text, event.last),
            retry: delivery.header(RETRY).ok().and_then(|retry| retry.parse().ok()).unwrap_or(0),
            body,
        })
    }

    fn handshake(&self, delivery: &Delivery<'_>) -> Result<Option<String>, SignatureError> {
        if delivery.body().len() > MAX_HANDSHAKE_BYTES {
            return Ok(None);
        }
        let Ok(text) = json::text(delivery.body()) else { return Ok(None) };
        if form_field(text, "ssl_check").as_deref() == Some("1") {
            return Ok(Some(String::new()));
        }
        let Ok([kind, challenge]) = members(text, ["type", "challenge"]) else { return Ok(None) };
        if lenient::<String>(kind.last).as_deref() != Some("url_verification") {
            return Ok(None);
        }
        // The challenge of somebody else is not repeated.
        self.check(delivery, SystemTime::now()).map_err(|error| refused(Self::NAME, error))?;
        Ok(lenient(challenge.last))
    }
}

/// An event of Slack's Events API. Its id is under the signature.
///
/// Only a string at `event_id` is required, exactly once. What else the body says is optional.
#[derive(Clone)]
pub struct SlackEvent {
    id: String,
    event_type: String,
    team_id: Option<String>,
    event: Option<std::ops::Range<usize>>,
    retry: u32,
    body: Body,
}

impl SlackEvent {
    /// `event_id`: `Ev...`, the same in every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The type of the inner event, `app_mention`; the type of the body if there is none.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The workspace.
    pub fn team_id(&self) -> Option<&str> {
        self.team_id.as_deref()
    }

    /// Which redelivery this is: 0 for the first delivery (`X-Slack-Retry-Num`, which is not signed).
    pub fn retry(&self) -> u32 {
        self.retry
    }

    /// Decodes the inner event, `event`.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if there is none, or it does not fit `T`.
    pub fn event<T: serde::de::DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let event = self.event.as_ref().and_then(|range| self.body.json().get(range.clone()));
        json::decode(event.ok_or(PayloadError::no_event(Flaw::Lacks("`event`")))?)
    }
}

event_body!(SlackEvent);

#[cfg(test)]
#[path = "slack_tests.rs"]
mod tests;
