//! Idempotent webhook handlers with one attribute.
//!
//! Every webhook sender delivers an event at least once: again after a timeout, again by hand weeks later,
//! and sometimes twice at the same moment. `#[idempotent_webhook]` on an async handler records each event in
//! a log, with the guarantee that you choose.
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
//! # Three guarantees
//!
//! - **Fence**, `#[idempotent_webhook]`: at most once, over any [`ProcessedEventLog`]. For effects where
//!   running twice is worse than not running.
//! - **Claim**, `#[idempotent_webhook(claim(c))]`: at least once, one at a time, over a [`ClaimLog`]. For
//!   effects in other systems; [`Claim::idempotency_key`] is the same on every attempt.
//! - **Transaction**, `#[idempotent_webhook(transaction(tx))]`: what is written through `tx` happens
//!   exactly once, over a [`TransactionalLog`]. For effects in the log's own database.
//!
//! # What happens if it crashes *here*?
//!
//! A hang-up is like a crash of one delivery: hyper drops the handler's future if the client disconnects.
//! Operations in flight then finish in the background.
//!
//! | where | fence | claim | transaction |
//! |---|---|---|---|
//! | before the request to the log | the next delivery runs | the next delivery runs | the next delivery runs |
//! | the log's reply is lost | crash: a duplicate if the mark was made. Hang-up: the SQL logs take the mark back | crash: the next delivery runs after the lease. Hang-up: released | rolled back: the next delivery runs |
//! | in the body: `Err`, panic, hang-up | never runs again | released: the next delivery runs | rolled back: the next delivery runs |
//! | in the body: a statement fails, the body ignores it, and the database has rolled back | never runs again | the reply decides | [`Error::Store`], never a 2xx: the next delivery runs |
//! | in the body: crash | never runs again | the next delivery runs after the lease, with a higher fencing token | rolled back: the next delivery runs |
//! | the process pauses for longer than the lease | goes on | the body is stopped, and another delivery may have the event | goes on in its transaction |
//! | after the body, before completion or commit | a duplicate | crash: runs again. Hang-up: completed in the background | rolled back or committed |
//! | after completion or commit, the reply is lost | a duplicate | a duplicate | a duplicate |
//!
//! Under a claim or a transaction, a 2xx means that the event is processed. Under the fence it means that the
//! event was seen: an event whose body failed is answered as a duplicate from then on.
//!
//! The table assumes that the store itself survives. Each log documents which of its marks survive a crash or
//! a failover of the store, and on which settings of the server that depends.
//!
//! # Operations
//!
//! Every log has `operations()`, for a runbook: [`operations`] lists events, counts them, and frees, completes or
//! forgets one by hand.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `memory` (default) | [`MemoryProcessedLog`] |
//! | `sqlite` | [`SqliteLog`] |
//! | `postgres` | [`PostgresLog`] |
//! | `mysql` | [`MySqlLog`] |
//! | `diesel-postgres`, `diesel-mysql` | [`DieselPostgresLog`], [`DieselMySqlLog`]: `transaction(tx)` over diesel-async |
//! | `sea-orm` | [`SeaOrmLog`]: `transaction(tx)` over sea-orm 2 |
//! | `tokio-postgres` | [`TokioPostgresLog`]: `transaction(tx)` over tokio-postgres and deadpool |
//! | `redis` | [`RedisLog`], [`ReopeningConnection`] |
//! | `json` | [`WebhookEvent`] for `serde_json::Value` |
//! | `stripe` | [`StripeWebhook`](stripe::StripeWebhook), [`StripeEvent`](stripe::StripeEvent) |
//! | `github` | [`GithubWebhook`](sender::github::GithubWebhook), [`GithubEvent`](sender::github::GithubEvent) |
//! | `standard-webhooks`, `slack`, `shopify`, `square`, `paddle` | the same for these [senders](sender) |
//! | `standard-webhooks-ed25519` | public keys (`whpk_`) of Standard Webhooks |
//! | `hmac` | [`HmacWebhook`](sender::hmac::HmacWebhook), for any other sender that signs with an HMAC |
//! | `sender` | [`sender::Sender`], for a sender of your own |
//! | `inbox` | [`inbox`]: stores deliveries, and delivers them to the handler until it succeeds, over a SQL log |
//! | `replay` | [`replay`]: a duplicate gets the first reply again, for APIs with an `Idempotency-Key` |
//! | `axum`, `actix-web`, `poem` | replies, rejections and extractors for these frameworks |
//! | `conformance` | [`conformance`]: what every log promises, as tests for a log of your own |
//! | `testing` | [`testing`]: tests for your own handler. Only for `[dev-dependencies]` |
//! | `cli` | the command `ferro-idem`, for operators: `cargo install ferro-idem --features cli,postgres` |
//! | `console` | [`console()`]: a page for operators, as an axum router |
//! | `metrics` | [`metrics`]: counters, durations and gauges, over the facade crate of that name |
//! | `tracing` | a span for each delivery, and events for what happens to it |
#![forbid(unsafe_code)]
// docs.rs shows on each item which feature enables it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "conformance",
        feature = "diesel-mysql",
        feature = "diesel-postgres",
        feature = "memory",
        feature = "metrics",
        feature = "mysql",
        feature = "postgres",
        feature = "github",
        feature = "inbox",
        feature = "redis",
        feature = "replay",
        feature = "sea-orm",
        feature = "sqlite",
        feature = "stripe",
        feature = "testing",
        feature = "tokio-postgres"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]
#![cfg_attr(
    all(feature = "inbox", not(any(feature = "mysql", feature = "postgres", feature = "sqlite"))),
    allow(dead_code, unused_imports, reason = "the inbox needs a database")
)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod claim;
#[allow(missing_debug_implementations)]
mod delivery;
#[allow(missing_debug_implementations)]
mod detach_on_drop;
#[allow(missing_docs, missing_debug_implementations)]
mod entry;
mod error;
mod event;
#[cfg(feature = "_sql")]
mod event_table;
#[allow(missing_docs, missing_debug_implementations)]
mod fence;
#[allow(missing_docs, missing_debug_implementations)]
mod key;
mod lease_length;
mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
mod nesting;
mod observed;
pub mod operations;
mod owner;
#[allow(missing_docs, missing_debug_implementations)]
mod processed;
mod reply;
#[cfg(any(feature = "_sql", feature = "redis"))]
#[cfg_attr(
    not(any(feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code, unreachable_pub, reason = "the logs over sqlx need the most of it")
)]
mod retry;
#[allow(missing_debug_implementations)]
mod running;
#[cfg(any(feature = "_sql", feature = "redis"))]
#[cfg_attr(
    not(any(feature = "mysql", feature = "postgres", feature = "redis")),
    allow(dead_code, reason = "only the statements hold it")
)]
mod server_clock;
#[cfg(feature = "tracing")]
mod shared_keys;
#[allow(missing_debug_implementations)]
mod steps;
#[allow(missing_debug_implementations, unreachable_pub)]
mod trace;
mod transaction;

#[cfg(feature = "actix-web")]
mod actix;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "console")]
pub mod console;
#[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
mod edge;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
pub mod inbox;
#[cfg(feature = "_layers")]
mod layers;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "poem")]
mod poem;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "replay")]
pub mod replay;
#[cfg(feature = "sender")]
pub mod sender;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(hidden)]
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
pub use crate::inbox::parts as __inbox;

#[doc(hidden)]
#[path = "private.rs"]
#[allow(missing_docs, missing_debug_implementations)]
pub mod __private;

/// The command `ferro-idem`, for its binary.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod __cli {
    pub use crate::cli::main;
}

/// Needed to implement [`ProcessedEventLog`] over a store of your own.
pub use async_trait::async_trait;
pub use ferro_idem_macros::idempotent_webhook;

pub use crate::claim::{Claim, ClaimLog, ClaimOutcome, Ownership};
pub use crate::error::Error;
pub use crate::event::{EventRef, InvalidEventId, WebhookEvent};
pub use crate::lease_length::{DEFAULT_LEASE, MIN_LEASE};
pub use crate::log::{ProcessedEventLog, RETENTION};
pub use crate::owner::Owner;
#[doc(hidden)]
pub use crate::reply::HttpFailure;
pub use crate::reply::{DuplicateReply, FromFenceError, Outcome, Settle};
pub use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

#[cfg(feature = "stripe")]
pub use crate::sender::stripe;

#[cfg(feature = "console")]
pub use crate::console::console;
#[cfg(feature = "_sql")]
pub use crate::event_table::name::InvalidTableName;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
pub use crate::inbox::{Inbox, InboxDatabase};
#[cfg(feature = "diesel-mysql")]
pub use crate::layers::DieselMySqlLog;
#[cfg(feature = "diesel-postgres")]
pub use crate::layers::DieselPostgresLog;
#[cfg(feature = "sea-orm")]
pub use crate::layers::SeaOrmLog;
#[cfg(feature = "_layers")]
pub use crate::layers::{DatabaseLayer, LayerLog, LayerTransaction};
#[cfg(feature = "tokio-postgres")]
pub use crate::layers::{TokioPostgresConnection, TokioPostgresLog};
#[cfg(feature = "memory")]
pub use crate::memory::MemoryProcessedLog;
#[cfg(feature = "redis")]
pub use crate::redis::{RedisLog, ReopeningConnection};
#[cfg(feature = "mysql")]
pub use crate::sql::{MySqlLog, MySqlTransaction};
#[cfg(feature = "postgres")]
pub use crate::sql::{PostgresLog, PostgresTransaction};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use crate::sql::{SqlDatabase, SqlLog, SqlTransaction};
#[cfg(feature = "sqlite")]
pub use crate::sql::{SqliteLog, SqliteTransaction};
