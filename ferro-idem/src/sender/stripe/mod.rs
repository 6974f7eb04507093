//! Stripe's deliveries: the signature and the event's envelope.
//!
//! The id (`id` of the body) is under the signature, which covers the whole body. Stripe asks for a quick answer, before
//! any work that could time out, and delivers again for up to three days until the endpoint answers 2xx, and for 30 days
//! by hand (<https://docs.stripe.com/webhooks#automatic-retries>).
//!
//! Verify first, then fence: anybody who can make the fence see an id of their choice can make the real event
//! look like a duplicate. A [`StripeEvent`] from [`StripeWebhook::verify`] has been verified. Over axum it is an
//! extractor, and the handler sees nothing else.
//!
//! # The dashboard's test event
//!
//! The dashboard's "Send test webhook" always delivers the id `evt_00000000000000`
//! ([`StripeEvent::is_dashboard_test`]). For a log this is one event: the first test runs, and every later one is
//! answered as a duplicate until the retention ends. [`StripeEvent::testable`] gives each test a key of its own.
//! Events of `stripe trigger` have ids of their own and need nothing.

mod envelope;
mod event;
mod webhook;

pub use self::envelope::Created;
pub use self::event::{StripeEvent, Testable};
pub use self::webhook::{SIGNATURE_HEADER, StripeWebhook};
pub use crate::sender::SenderRejection as StripeRejection;
pub use crate::sender::{InvalidSecret, PayloadError, SignatureError};
