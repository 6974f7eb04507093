//! The inbox: a verified delivery is stored durably and answered, and the application delivers it to its own handler,
//! from its own database, until it is processed or parked.
//!
//! [`store`] keeps deliveries in the database, and knows no sender and no framework.

#![cfg_attr(all(), allow(dead_code, reason = "the worker and the edges are built on it next"))]

#[allow(missing_docs)]
mod delivery;
mod dialect;
mod names;
mod requests;
#[cfg(feature = "sqlite")]
mod sqlite;
mod step;
mod store;
#[allow(missing_docs)]
mod stored;
mod tables;

/// For the tests of this repository: the parts under the [`Inbox`](crate::Inbox).
#[doc(hidden)]
#[allow(missing_docs)]
pub mod parts {
    pub use super::delivery::{Counts, Held, NewDelivery, Received, TakeLimits, Taken, TakenBatch, UsedUp};
    pub use super::dialect::InboxDatabase;
    pub use super::store::InboxStore;
    pub use super::stored::{Stored, Undecodable};
}

pub use self::dialect::InboxDatabase;
