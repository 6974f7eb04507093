//! Stripe's deliveries: the signature and the event's envelope.
//!
//! Verify first, fence second: whoever can make the fence see an id of their choice can make the
//! real event look like a duplicate. A [`StripeEvent`] from [`StripeWebhook::verify`] has been
//! verified; over axum it is an extractor, and the handler never sees anything else.

mod event;
mod object;
mod signature;
mod webhook;

pub use self::event::{Created, PayloadError, StripeEvent};
pub use self::signature::SignatureError;
pub use self::webhook::{SIGNATURE_HEADER, StripeWebhook};
#[cfg(feature = "axum")]
pub use crate::axum::stripe::StripeRejection;
