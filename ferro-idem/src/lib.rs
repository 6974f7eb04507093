//! Idempotent webhook handlers with one attribute.
//!
//! Every webhook sender delivers at least once: again after a timeout, again by hand weeks later,
//! sometimes twice at the same moment. `#[idempotent_webhook]` on an async handler makes sure that
//! the event is recorded before the body runs, so that the body runs at most once.
//!
//! ```
//! use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog, idempotent_webhook};
//!
//! #[idempotent_webhook]
//! async fn ship_parcel<L: ProcessedEventLog>(log: &L, event: &str) -> Result<(), Error> {
//!     println!("shipping for {event}");
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
//! let log = MemoryProcessedLog::new();
//! ship_parcel(&log, "evt_1").await?; // ships
//! ship_parcel(&log, "evt_1").await?; // answers Ok(()), ships nothing
//! # Ok(()) }
//! ```
//!
//! # What happens if it crashes here?
//!
//! | where | what is in the log | what the next delivery does |
//! |---|---|---|
//! | before the mark is sent | nothing | runs the body |
//! | the mark was sent, the reply is lost | perhaps a mark | a duplicate if the mark was made |
//! | in the body: `Err`, panic, hang-up, kill | a mark | a duplicate: the body does not run again |
//! | after the body, before the reply | a mark | a duplicate |
//!
//! This guarantee is the *fence*: at most once. It fits where running twice is worse than not
//! running at all.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `memory` (default) | [`MemoryProcessedLog`] |
//! | `sqlite` | [`SqliteLog`] |
//! | `json` | [`WebhookEvent`] for `serde_json::Value` |
//! | `stripe` | [`StripeWebhook`](stripe::StripeWebhook), [`StripeEvent`](stripe::StripeEvent) |
//! | `axum` | replies, rejections and extractors for axum |
#![cfg_attr(
    not(all(feature = "memory", feature = "sqlite", feature = "stripe")),
    allow(rustdoc::broken_intra_doc_links)
)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod claim;
mod error;
mod event;
mod log;
mod owner;
mod reply;
#[allow(missing_debug_implementations)]
mod see_through;
#[allow(missing_debug_implementations)]
mod trace;
mod transaction;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "sqlite")]
mod sql;
#[cfg(feature = "stripe")]
pub mod stripe;

#[doc(hidden)]
#[path = "private.rs"]
#[allow(missing_docs, missing_debug_implementations)]
pub mod __private;

/// For implementing [`ProcessedEventLog`] over a store of your own.
pub use async_trait::async_trait;
pub use ferro_idem_macros::idempotent_webhook;

pub use crate::claim::{Claim, ClaimLog, ClaimOutcome, DEFAULT_LEASE, Ownership, SHORTEST_LEASE};
pub use crate::error::Error;
pub use crate::event::{EventRef, InvalidEventId, WebhookEvent};
pub use crate::log::{ProcessedEventLog, RETENTION};
pub use crate::owner::Owner;
pub use crate::reply::{DuplicateReply, FromFenceError, Outcome, Settle};
pub use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

#[cfg(feature = "memory")]
pub use crate::memory::MemoryProcessedLog;
#[cfg(feature = "sqlite")]
pub use crate::sql::{InvalidTableName, SqliteLog, SqliteTransaction};
