//! Any other sender that signs its deliveries with an HMAC.
//!
//! An [`HmacScheme`] describes how the sender signs and where the event's id is, and an [`HmacWebhook`]
//! verifies by it. The sender's documentation says whether the id is under the signature, how long the sender
//! waits and how often it tries again. [`HmacWebhook::id_coverage`](crate::sender::Sender::id_coverage)
//! returns what follows from the scheme.
//!
//! Twitch, for example, signs the id, the time and the body, one after the other
//! (<https://dev.twitch.tv/docs/eventsub/handling-webhook-events>). It wants an answer within a few seconds, and sends an
//! event again under the same id if it is unsure whether it arrived.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use ferro_idem::sender::hmac::{HmacScheme, HmacWebhook, Id, Part, TimeFormat};
//! use ferro_idem::sender::{Delivery, IdCoverage, Sender};
//!
//! const TWITCH: HmacScheme = HmacScheme::new(
//!     "Twitch-Eventsub-Message-Signature",
//!     Id::Header("Twitch-Eventsub-Message-Id"),
//! )
//! .with_prefix("sha256=")
//! .with_signed_before_body(&[
//!     Part::Id,
//!     Part::TimestampHeader("Twitch-Eventsub-Message-Timestamp", TimeFormat::Rfc3339),
//! ])
//! .with_type_header("Twitch-Eventsub-Subscription-Type");
//!
//! let twitch = HmacWebhook::new(TWITCH, "s3cRe7");
//! assert_eq!(twitch.id_coverage(), IdCoverage::Signed);
//!
//! // In production the headers come from Twitch.
//! let body = br#"{"event": {"user_name": "cool_user"}}"#;
//! let headers = twitch.sign("e76c6bd4-55c9-4987-8304-da1588d8988b", body, SystemTime::now())?;
//! let delivery = Delivery::new(body)
//!     .with_headers(headers.iter().map(|(name, value)| (*name, value)))
//!     .with_header("Twitch-Eventsub-Subscription-Type", "channel.follow");
//!
//! let event = twitch.verify(&delivery)?;
//! assert_eq!(event.id(), "e76c6bd4-55c9-4987-8304-da1588d8988b");
//! assert_eq!(event.event_type(), "channel.follow");
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```
//!
//! PagerDuty signs the body only, once for each secret of a rotation
//! (<https://developer.pagerduty.com/docs/verifying-webhook-signatures>). The id is in the body, and so under the
//! signature; there is no time, so that only the fence stops a replay.
//!
//! ```
//! use ferro_idem::sender::hmac::{HmacScheme, Id};
//!
//! // `X-PagerDuty-Signature: v1=<hex>,v1=<hex>`
//! const PAGERDUTY: HmacScheme = HmacScheme::new("X-PagerDuty-Signature", Id::Body(&["event", "id"]))
//!     .with_prefix("v1=")
//!     .with_separator(',')
//!     .with_type_in_body(&["event", "event_type"]);
//! ```
//!
//! # Several senders of this kind
//!
//! Extractors find a sender in the router's state by its type. For a second one, wrap it in a type of your own that
//! implements [`Sender`](crate::sender::Sender) by calling it, and extract `Verified<PagerDuty>`:
//!
//! ```
//! # use ferro_idem::sender::hmac::{HmacEvent, HmacWebhook};
//! # use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError};
//! #[derive(Clone)]
//! struct PagerDuty(HmacWebhook);
//!
//! impl Sender for PagerDuty {
//!     type Event = HmacEvent;
//!     const NAME: &'static str = "pagerduty";
//!     const ID: IdCoverage = IdCoverage::Signed;
//!
//!     fn verify(&self, delivery: &Delivery<'_>) -> Result<HmacEvent, SignatureError> {
//!         self.0.verify(delivery)
//!     }
//!
//!     fn decode(&self, delivery: &Delivery<'_>) -> Result<HmacEvent, PayloadError> {
//!         self.0.decode(delivery)
//!     }
//! }
//! ```
//!
//! # What it does not do
//!
//! Bodies have to be JSON objects in UTF-8. A sender that signs a digest of the body, single fields or form
//! parameters, or with another algorithm, needs an implementation of [`Sender`](crate::sender::Sender). So
//! does a handshake whose answer is more than a 200.

mod event;
mod scheme;
mod time;
mod webhook;

pub use self::event::HmacEvent;
pub use self::scheme::{HmacScheme, Id, Part};
pub use self::time::TimeFormat;
pub use self::webhook::HmacWebhook;
pub use super::keys::{Encoding, Hash};
