//! The decision of a guarantee about a delivery, before the body runs.

use crate::delivery::Delivery;
use crate::error::Error;
use crate::nesting::Frame;

/// The decision of a guarantee. `G` is what the body runs under: `()` for a fence, a guard for a claim, an
/// open transaction.
#[derive(Debug)]
pub enum Entry<G> {
    /// Run the body.
    Run(G),
    /// Answer as a duplicate.
    Duplicate,
    /// The guarantee cannot be given, so the body must not run.
    Failed(Error),
}

/// A delivery of an event that is processed.
pub(crate) struct Seen {
    #[cfg_attr(not(feature = "replay"), expect(dead_code, reason = "its reply is read by the key"))]
    pub(crate) event_id: String,
    pub(crate) frame: Frame,
    pub(crate) delivery: Delivery,
}
