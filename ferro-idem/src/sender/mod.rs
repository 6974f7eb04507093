//! Senders of webhooks: how each of them signs a delivery, and where the event's id is.
//!
//! Verify first, then fence: anybody who can make the fence see an id of their choice can make the real event look
//! like a duplicate. A [`Sender`] reads an event from a [`Delivery`] only if the signature over its raw bytes is
//! right, and needs no web framework for that. Under the features `axum`, `actix-web` and `poem`, every event is an
//! extractor too, and [`Verified`] extracts the event of a sender of your own.
//!
//! | sender | feature | id | id under the signature | answers within | tries |
//! |---|---|---|---|---|---|
//! | [`StripeWebhook`](crate::stripe::StripeWebhook) | `stripe` | body `id` | yes | 10 s advised | for 3 days |
//! | [`StandardWebhook`](standard::StandardWebhook), Svix's names too | `standard-webhooks` | `webhook-id` | yes | 15 to 30 s advised | for days |
//! | [`GithubWebhook`](github::GithubWebhook) | `github` | `X-GitHub-Delivery` | **no** | 10 s | once |
//! | [`SlackWebhook`](slack::SlackWebhook) | `slack` | body `event_id` | yes | **3 s** | 4 times |
//! | [`ShopifyWebhook`](shopify::ShopifyWebhook) | `shopify` | `X-Shopify-Webhook-Id` | **no** | 5 s | 8 times over 4 hours |
//! | [`SquareWebhook`](square::SquareWebhook) | `square` | body `event_id` | yes | as soon as possible | for 24 hours |
//! | [`PaddleWebhook`](paddle::PaddleWebhook) | `paddle` | body `event_id` | yes | 5 s | 60 times over 3 days |
//! | [`HmacWebhook`](hmac::HmacWebhook), for everybody else | `hmac` | as you say | as you say | | |
//!
//! All of them hold several secrets at once for a rotation, compare in constant time, and refuse headers that are
//! repeated or over 4096 bytes long. Where the scheme signs a timestamp, it may differ from this machine's clock by
//! the tolerance, both ways. White space around a secret is ignored, and an empty secret refuses everything. Errors
//! name the rule, never the payload, the header or the secret.
//!
//! Under the feature `tracing`, each refused delivery is logged at WARN with the target `ferro_idem` and the fields
//! `sender`, `rule` and `error`.
//!
//! # A sender of your own
//!
//! ```
//! use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError};
//!
//! /// A partner whose gateway has verified the delivery already, and says so in a shared token.
//! #[derive(Clone)]
//! struct Partner {
//!     token: String,
//! }
//!
//! impl Sender for Partner {
//!     type Event = serde_json::Value;
//!     const NAME: &'static str = "partner";
//!     const ID: IdCoverage = IdCoverage::Unsigned;
//!
//!     fn verify(&self, delivery: &Delivery<'_>) -> Result<Self::Event, SignatureError> {
//!         if !ferro_idem::sender::is_equal(&self.token, delivery.header("X-Token")?) {
//!             return Err(SignatureError::Mismatch);
//!         }
//!         Ok(self.decode(delivery)?)
//!     }
//!
//!     fn decode(&self, delivery: &Delivery<'_>) -> Result<Self::Event, PayloadError> {
//!         delivery.json()
//!     }
//! }
//!
//! let partner = Partner { token: "secret".to_owned() };
//! let delivery = Delivery::new(br#"{"id": "evt_1"}"#).with_header("x-token", "secret");
//! assert_eq!(partner.verify(&delivery)?["id"], "evt_1");
//! # Ok::<(), SignatureError>(())
//! ```

#![cfg_attr(
    not(all(
        feature = "github",
        feature = "hmac",
        feature = "paddle",
        feature = "shopify",
        feature = "slack",
        feature = "square",
        feature = "standard-webhooks",
        feature = "stripe"
    )),
    allow(dead_code, reason = "each sender uses some of what they share")
)]

mod body;
mod clock;
mod delivery;
#[cfg(any(
    feature = "github",
    feature = "hmac",
    feature = "paddle",
    feature = "shopify",
    feature = "slack",
    feature = "square"
))]
mod endpoint;
mod error;
#[cfg(any(
    feature = "github",
    feature = "hmac",
    feature = "paddle",
    feature = "shopify",
    feature = "slack",
    feature = "square",
    feature = "standard-webhooks"
))]
mod event;
mod json;
mod keys;
#[cfg(feature = "poem")]
mod limit;
mod payload;
mod refusal;
mod rejection;
mod secret;
mod timed;
mod verified;

#[cfg(feature = "github")]
pub mod github;
#[cfg(feature = "hmac")]
pub mod hmac;
#[cfg(feature = "paddle")]
pub mod paddle;
#[cfg(feature = "shopify")]
pub mod shopify;
#[cfg(feature = "slack")]
pub mod slack;
#[cfg(feature = "square")]
pub mod square;
#[cfg(feature = "standard-webhooks")]
pub mod standard;
#[cfg(feature = "stripe")]
pub mod stripe;

use subtle::ConstantTimeEq;

pub use self::delivery::Delivery;
pub use self::error::SignatureError;
#[cfg(feature = "poem")]
pub use self::limit::BodyLimit;
pub use self::payload::PayloadError;
pub use self::rejection::SenderRejection;
pub use self::secret::InvalidSecret;
pub use self::verified::Verified;
use crate::event::WebhookEvent;

/// A sender of webhooks: how its deliveries are verified and read.
///
/// The [module](self) has the senders that are implemented, and an example of one of your own.
pub trait Sender: Send + Sync + 'static {
    /// The event of a delivery.
    type Event: WebhookEvent + Send + 'static;

    /// The sender's name in logs: `stripe`.
    const NAME: &'static str;

    /// Whether the signature covers the event's id.
    const ID: IdCoverage;

    /// The headers that [`decode`](Self::decode) reads.
    const HEADERS: &'static [&'static str] = &[];

    /// [`ID`](Self::ID), for a sender for which it depends on how it is configured.
    fn id_coverage(&self) -> IdCoverage {
        Self::ID
    }

    /// The headers that [`decode`](Self::decode) reads. Keep them with the body if you store a delivery.
    ///
    /// It is [`HEADERS`](Self::HEADERS), but for a sender for which it depends on how it is configured.
    fn headers(&self) -> Vec<&'static str> {
        Self::HEADERS.to_vec()
    }

    /// Reads the event, if the delivery is signed by this sender.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: answer 400, and run nothing.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<Self::Event, SignatureError>;

    /// Reads the event of a delivery that was verified before, for example when it was stored.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if the delivery is not an event.
    fn decode(&self, delivery: &Delivery<'_>) -> Result<Self::Event, PayloadError>;

    /// The body to answer with 200 if the delivery is no event but a handshake, which runs no handler.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] if it is a handshake that is not signed and has to be.
    fn handshake(&self, delivery: &Delivery<'_>) -> Result<Option<String>, SignatureError> {
        let _ = delivery;
        Ok(None)
    }
}

/// Whether a sender's signature covers the event's id.
///
/// ```
/// use ferro_idem::sender::{IdCoverage, Sender};
/// use ferro_idem::stripe::StripeWebhook;
///
/// assert_eq!(StripeWebhook::ID, IdCoverage::Signed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdCoverage {
    /// The id is part of what is signed.
    Signed,
    /// The id is not signed. Somebody who holds one delivery can send it again under another id, and it cannot be told
    /// from a new event.
    Unsigned,
}

/// Compares a secret with a text from the network, in a time that does not depend on where they differ.
///
/// ```
/// use ferro_idem::sender::is_equal;
///
/// assert!(is_equal("token", "token"));
/// assert!(!is_equal("token", "tokem"));
/// ```
pub fn is_equal(secret: &str, given: &str) -> bool {
    secret.as_bytes().ct_eq(given.as_bytes()).into()
}
