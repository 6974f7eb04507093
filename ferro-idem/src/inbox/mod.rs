//! The inbox: no event is lost, whatever the sender does.
//!
//! A sender that tries once, or stops after a few hours, loses the event if the handler fails or is slow. The inbox
//! takes over: **verify, store durably, answer 202; then deliver to the handler, from the application's own database,
//! until it succeeds or is parked.** The handler does not change. It is an annotated function with its guarantee: the
//! inbox delivers at least once, and the guarantee removes the repetitions. With `transaction(tx)`, the effects in the
//! database are exactly once behind any sender.
//!
#![cfg_attr(
    all(feature = "axum", feature = "sqlite", feature = "github"),
    doc = include_str!("example.md")
)]
//!
//! # What becomes of an event
//!
//! | the handler | then |
//! |---|---|
//! | succeeds: [`Settle`](crate::Settle) decides by its reply | the event is processed: its body is deleted, its id stays until the [purge](Inbox::purge) |
//! | fails, panics, or does not return in time | the event waits ([`Backoff`], or what the reply's `Retry-After` says), and is delivered again |
//! | has failed [`with_max_attempts`](Inbox::with_max_attempts) times | the event is **parked** with its last error: it stays, and is not delivered until somebody [replays](Inbox::operations) it |
//! | does not get the event, because it cannot be decoded | parked at once, with the reason |
//! | runs when the process dies | its lease ends, and another worker delivers the event again. The attempt counts |
//! | runs when the worker is shut down | it may finish, or is stopped and the event given back. The attempt does not count |
//!
//! # Which guarantee
//!
//! | the handler | behind the inbox |
//! |---|---|
//! | `transaction(tx)` | what it writes through `tx` happens exactly once |
//! | `claim(c)` | at least once, one at a time; [`Claim::idempotency_key`](crate::Claim::idempotency_key) for other systems |
//! | plain fence | at most once: **the first failure is final** |
//! | no attribute | at least once |
//!
//! A handler under `claim` does not wait for its claim and its completion. The worker claims the next events together,
//! before their handlers start, and takes an event for processed after its claim is completed. The annotated function
//! returns before that.
//!
//! A plain fence never runs a body twice: after a failure it answers a duplicate, which looks like a success. The worker
//! does not take that for one. If the handler fails after its plain fence has let the body run, the event is parked at
//! once. If the fence answers a duplicate although an earlier attempt of this inbox may have begun, the event is parked,
//! because it is unknown whether it was processed. Both say so in the last error. A duplicate at the first attempt is
//! taken for processed, with a line at WARN: the event was seen before it reached this inbox. The worker sees the decisions of handlers
//! that it polls itself: do not `spawn` an annotated function inside of the handler.
//!
//! # Order
//!
//! Events run in any order, unless [`with_order`](Inbox::with_order) names a key for them. Those with one key run one at
//! a time, in the order in which they were received.
//!
//! # Several workers
//!
//! Every process may run a worker. Each event is with one of them at a time, under a lease that is renewed while the
//! handler runs. A worker holds no more events in memory than its handlers need next, however many wait.

mod backoff;
mod channel;
#[allow(missing_docs)]
mod delivery;
mod dialect;
#[cfg(any(feature = "axum", feature = "actix-web", feature = "poem"))]
mod endpoint;
#[allow(clippy::module_inception)]
mod inbox;
mod last_error;
#[cfg(feature = "mysql")]
mod mysql;
mod names;
pub mod operations;
#[cfg(feature = "postgres")]
mod postgres;
mod receive;
mod reply;
mod requests;
#[cfg(feature = "sqlite")]
mod sqlite;
mod step;
mod store;
#[allow(missing_docs)]
mod stored;
mod tables;
mod taken_row;
mod wakeup;
mod worker;

/// For the tests of this repository: the parts under the [`Inbox`].
#[doc(hidden)]
#[allow(missing_docs)]
pub mod parts {
    pub use super::delivery::{Counts, Held, NewDelivery, Received, TakeLimits, Taken, TakenBatch, UsedUp};
    pub use super::dialect::InboxDatabase;
    pub use super::store::InboxStore;
    pub use super::stored::{Stored, Undecodable};
}

pub use self::backoff::Backoff;
pub use self::dialect::InboxDatabase;
#[cfg(any(feature = "axum", feature = "actix-web", feature = "poem"))]
pub use self::endpoint::Receive;
pub use self::inbox::Inbox;
pub use self::receive::{Receipt, ReceiveError};
pub use self::reply::{Failure, Reply};
pub use self::worker::Worker;
