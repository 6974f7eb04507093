//! Whether a transaction holds the reply of its event.

/// Whether the event's reply is in the transaction.
#[cfg_attr(not(feature = "replay"), allow(dead_code, reason = "only replies need it"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeptReply {
    /// Nothing has tried to keep one, or nothing is known about the mark since.
    Unknown,
    /// The mark was there when the last statement of this transaction kept the reply.
    WithMark,
    /// The reply could not be kept, so nothing may be committed.
    Failed,
}
