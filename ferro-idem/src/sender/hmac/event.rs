//! An event of a sender that signs with an HMAC.

use crate::sender::body::Body;
use crate::sender::event::event_body;

/// An event of a sender that is described by an [`HmacScheme`](super::HmacScheme).
///
/// Its body is a JSON object. Cloning is cheap; `Debug` shows the id and the type, never the body.
///
/// ```
/// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
/// use ferro_idem::sender::hmac::HmacEvent;
///
/// #[idempotent_webhook]
/// async fn on_event(log: &MemoryProcessedLog, event: HmacEvent) -> Result<(), Error> {
///     println!("{} {}", event.id(), event.event_type());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct HmacEvent {
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) body: Body,
}

impl HmacEvent {
    /// The id, from where the scheme says that it is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What happened, from where the scheme says that it is. Empty if the scheme or the delivery does not say so.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// A key made from the body, 64 hex digits: a delivery that is replayed under another id has the same.
    ///
    /// Use it as the `event_id` if the id is not under the signature and replays matter. It is not the default, because two
    /// honest events can have equal bytes.
    pub fn signed_key(&self) -> String {
        self.body.digest()
    }
}

event_body!(HmacEvent);
