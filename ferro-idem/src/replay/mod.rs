//! Replay: a duplicate gets the reply of the first delivery again.
//!
//! For an API whose clients retry with an `Idempotency-Key`: the reply is committed together with the effects (under
//! `transaction`) or with the completion (under `claim`), and each retry gets it again.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "sqlite"))]
//! # mod example {
//! use axum::Json;
//! use axum::body::Bytes;
//! use axum::extract::State;
//! use axum::http::StatusCode;
//! use ferro_idem::replay::IdempotencyKey;
//! use ferro_idem::{Error, SqliteLog, idempotent_webhook};
//! use serde::{Deserialize, Serialize};
//!
//! # #[derive(Clone)]
//! # struct App { log: SqliteLog }
//! # struct User { id: u64 }
//! # impl<S: Send + Sync> axum::extract::FromRequestParts<S> for User {
//! #     type Rejection = StatusCode;
//! #     async fn from_request_parts(_: &mut axum::http::request::Parts, _: &S) -> Result<Self, StatusCode> {
//! #         Ok(Self { id: 1 })
//! #     }
//! # }
//! #[derive(Serialize, Deserialize)]
//! struct Receipt {
//!     bytes: usize,
//! }
//!
//! #[idempotent_webhook(log = app.log, event = key, transaction(tx), replay, fingerprint = &body, scope = user.id)]
//! async fn charge(
//!     State(app): State<App>,
//!     user: User,
//!     key: IdempotencyKey,
//!     body: Bytes,
//! ) -> Result<(StatusCode, Json<Receipt>), Error> {
//!     // Write the charge through `tx`.
//!     Ok((StatusCode::CREATED, Json(Receipt { bytes: body.len() })))
//! }
//! # pub fn router(app: App) -> axum::Router {
//! #     axum::Router::new().route("/charges", axum::routing::post(charge)).with_state(app)
//! # }
//! # }
//! ```
//!
//! # What a request gets
//!
//! | request | the body | reply |
//! |---|---|---|
//! | first of its key | runs | the body's |
//! | retry after a success | does not run | the first reply again, with `Idempotent-Replayed: true` |
//! | retry after a failure (an `Err`, a 4xx, a 5xx) | runs | the body's: nothing was kept |
//! | retry after an `Err` or a 4xx that `processed = \|reply\| ..` takes for processed | does not run | the first reply again |
//! | retry while the first is running | does not run | 409 with `Retry-After`, [`Error::InProgress`] |
//! | another fingerprint under the same key | does not run | 422, [`Error::Mismatch`] |
//! | no key, a malformed or a repeated one | does not run | 400, [`InvalidIdempotencyKey`] |
//! | retry after the reply has expired, or of an event that was processed without `replay` | does not run | 410, [`Error::ReplyGone`]; or `on_duplicate = EXPR` |
//! | retry of a reply that a newer version has kept, or of another type | does not run | 500, [`Error::ReplyUnreadable`] |
//! | its reply is too large, or a stream | runs, and is undone | 500, [`Error::ReplyNotKept`] |
//! | the store cannot be reached | does not run, or is undone | 503, [`Error::Store`] |
//!
//! A 5xx is never kept, even if `processed` takes it for processed: its event is then processed without a reply.
//!
//! An expired reply is never answered with an empty success: a client would take it for the receipt that it has missed, and
//! the fingerprint that would find another request under the same key has expired as well. A worker of the
//! inbox (feature `inbox`) reads no reply. It gets [`DuplicateReply`](crate::DuplicateReply) of the return type if there is one, so that the
//! event is completed.
//!
//! Under `claim`, "undone" is a released claim: effects elsewhere have happened, and the next request runs again.
//!
//! # What happens if it crashes *here*?
//!
//! | where | claim | transaction |
//! |---|---|---|
//! | in the body | as without `replay`: the next request runs after the lease | rolled back |
//! | after the body, before the reply is kept | crash: runs again after the lease. Hang-up: completed with its reply in the background | rolled back |
//! | between the reply and the completion or commit | there is no such moment: they are one step | the same |
//! | after that, the reply to the client is lost | the retry gets the kept reply | the same |
//!
//! # Tenants
//!
//! A client chooses its keys. Without a `scope` that names the caller (`scope = user.id`), one caller could guess another's
//! key and read the reply. A `fingerprint` alone does not prevent that.

#[allow(missing_docs, missing_debug_implementations)]
mod claim;
#[allow(missing_docs, missing_debug_implementations)]
mod codecs;
#[allow(missing_docs, missing_debug_implementations)]
mod entry;
mod kept;
mod key;
#[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
pub mod layer;
mod pointers;
#[allow(missing_docs, missing_debug_implementations)]
pub(crate) mod private;
mod replayable;
#[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
mod replayed;
#[allow(missing_docs)]
mod stored;
#[allow(missing_docs)]
mod terms;
#[allow(missing_docs, missing_debug_implementations)]
mod transaction;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::claim::{ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;
use crate::transaction::TransactionalLog;

pub use self::kept::{KeepSetCookie, KeptReply, MAX_REPLY_BYTES, Unreplayable};
pub use self::key::{IdempotencyKey, InvalidIdempotencyKey};
pub use self::replayable::Replayable;
#[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
pub(crate) use self::replayable::{keep_value, replay_value};
#[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
pub(crate) use self::replayed::watch;

/// How long a reply is kept, unless the attribute says `keep = DURATION`: a day.
///
/// ```
/// assert_eq!(ferro_idem::replay::KEEP.as_secs(), 24 * 60 * 60);
/// ```
pub const KEEP: Duration = Duration::from_hours(24);

/// A reply that a log is to keep.
///
/// ```
/// use ferro_idem::replay::{KEEP, NewReply};
///
/// let reply = NewReply { stored: b"any bytes", keep: KEEP };
/// assert_eq!(reply.stored.len(), 9);
/// ```
#[derive(Clone, Copy)]
pub struct NewReply<'r> {
    /// The reply in its stored form: any bytes, which the log does not look into.
    pub stored: &'r [u8],
    /// How long the log returns it, on the store's clock.
    pub keep: Duration,
}

/// Without the reply, which may hold personal data.
impl fmt::Debug for NewReply<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NewReply")
            .field("bytes", &self.stored.len())
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// The answer to a claim that reads the reply of a processed event.
///
/// ```
/// use ferro_idem::ClaimOutcome;
/// use ferro_idem::replay::ClaimOrReply;
///
/// let acquired = ClaimOrReply { outcome: ClaimOutcome::Acquired { token: 1 }, reply: None };
/// assert!(acquired.reply.is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimOrReply {
    /// What came of the claim.
    pub outcome: ClaimOutcome,
    /// The reply that is kept for a processed event, as [`ReplayLog::kept_reply`] returns it.
    pub reply: Option<Vec<u8>>,
}

/// Without the reply, which may hold personal data.
impl fmt::Debug for ClaimOrReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClaimOrReply")
            .field("outcome", &self.outcome)
            .field("reply_bytes", &self.reply.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// A log that keeps the reply of an event with its completion.
///
/// # The promise
///
/// - The reply is kept if and only if the event was completed by the same call: no crash leaves one without the other.
/// - [`kept_reply`](Self::kept_reply) returns the bytes of the completion that counts, unchanged, until they expire.
///   After that it returns `None`, and the event is still processed.
/// - An event that was purged or forgotten has no reply.
/// - Other guarantees see the event as processed, as after [`ClaimLog::complete`](crate::ClaimLog::complete).
///
/// # Cancel safety
///
/// As for [`ClaimLog`](crate::ClaimLog): dropping any of these futures leaves the store consistent.
///
/// # What the attribute does with it
///
/// ```
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ferro_idem::Error> {
/// use ferro_idem::replay::{KEEP, NewReply, ReplayLog};
/// use ferro_idem::{ClaimLog, ClaimOutcome, DEFAULT_LEASE, EventRef, MemoryProcessedLog, Owner, Ownership};
///
/// let log = MemoryProcessedLog::new();
/// let (event, owner) = (EventRef::new("key_1")?, Owner::random()?);
/// let ClaimOutcome::Acquired { token } = log.claim(event, owner, DEFAULT_LEASE).await? else {
///     return Ok(()); // in progress, or a duplicate
/// };
/// // The body runs here, and replies.
/// let reply = NewReply { stored: b"201 Created", keep: KEEP };
/// assert!(log.complete_with_reply("key_1", Ownership { owner, token }, reply).await?);
///
/// // The next delivery is a duplicate, and gets the same reply.
/// assert_eq!(log.claim(event, Owner::random()?, DEFAULT_LEASE).await?, ClaimOutcome::Processed);
/// assert_eq!(log.kept_reply("key_1").await?.as_deref(), Some(&b"201 Created"[..]));
/// # Ok(()) }
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// ```
///
/// # A log of your own
///
/// Keep the reply in the row of the event, and write it in the statement that completes the claim. Let the store
/// decide by its own clock whether a reply has expired.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use ferro_idem::replay::{NewReply, ReplayLog};
/// use ferro_idem::{Error, Ownership, async_trait};
/// # #[derive(Clone)] struct Db;
/// # impl Db {
/// #     async fn read(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, std::io::Error> { Ok(None) }
/// #     async fn update(&self, _: &str, _: &str, _: Ownership, _: &[u8], _: Duration) -> Result<u64, std::io::Error> { Ok(1) }
/// # }
///
/// #[derive(Clone)]
/// struct MyLog {
///     db: Db,
/// }
///
/// #[async_trait]
/// impl ReplayLog for MyLog {
///     async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
///         let select = "SELECT reply FROM events WHERE id = ? AND state = 'processed' AND reply_until > now()";
///         self.db.read(select, event_id).await.map_err(|error| Error::store("read the reply", error))
///     }
///
///     async fn complete_with_reply(
///         &self,
///         event_id: &str,
///         held: Ownership,
///         reply: NewReply<'_>,
///     ) -> Result<bool, Error> {
///         let update = "UPDATE events SET state = 'processed', reply = ?, reply_until = now() + ?
///                       WHERE id = ? AND owner = ? AND token = ? AND state IN ('claimed', 'processed')";
///         let updated = self.db.update(update, event_id, held, reply.stored, reply.keep).await;
///         Ok(updated.map_err(|error| Error::store("complete the event", error))? == 1)
///     }
///
///     fn replay_handle(&self) -> Arc<dyn ReplayLog> {
///         Arc::new(self.clone())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep replies",
    label = "not a `ReplayLog`",
    note = "the logs that keep replies are `MemoryProcessedLog`, `SqliteLog`, `PostgresLog`, `MySqlLog` and \
            `RedisLog`, or implement `ferro_idem::replay::ReplayLog` for `{Self}`"
)]
#[async_trait]
pub trait ReplayLog: Send + Sync {
    /// The reply that is kept for a processed event. `None` if there is none, or if it has expired.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer.
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error>;

    /// As [`ClaimLog::claim`](crate::ClaimLog::claim), and reads the reply of a processed event in the same request.
    /// `None`: this log has no such request. Then call [`ClaimLog::claim`](crate::ClaimLog::claim), and
    /// [`kept_reply`](Self::kept_reply) if the event is processed.
    ///
    /// The default returns `None`, which is always right. A log that does better answers a duplicate in one round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer. The body must not run then.
    async fn claim_or_reply(
        &self,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> Result<Option<ClaimOrReply>, Error> {
        let _ = (event, owner, lease);
        Ok(None)
    }

    /// As [`ClaimLog::complete`](crate::ClaimLog::complete), and keeps the reply in the same step. Returns `false`, and
    /// keeps nothing, if the claim has been taken over or released.
    ///
    /// Completing the same claim a second time returns `true`, and the reply of one of the two calls is kept.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether the event was recorded.
    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error>;

    /// A handle to the same store that borrows nothing, as [`ClaimLog::handle`](crate::ClaimLog::handle).
    fn replay_handle(&self) -> Arc<dyn ReplayLog>;
}

/// A transactional log that commits the reply together with the mark and the effects.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ferro_idem::replay::{KEEP, NewReply, ReplayLog, TransactionalReplayLog};
/// use ferro_idem::{EventRef, MarkOutcome, SqliteLog, TransactionalLog};
///
/// # let file = std::env::temp_dir().join(format!("ferro-idem-replay-{}.db", std::process::id()));
/// let log = SqliteLog::open(&file).await?;
/// let mut tx = log.begin().await?;
/// if log.try_mark_in(&mut tx, EventRef::new("key_1")?).await? == MarkOutcome::First {
///     // The body writes through `tx` here, and replies.
///     log.keep_in(&mut tx, "key_1", NewReply { stored: b"201 Created", keep: KEEP }).await?;
///     SqliteLog::commit(tx).await?;
/// }
/// assert_eq!(log.kept_reply("key_1").await?.as_deref(), Some(&b"201 Created"[..]));
/// # log.pool().close().await;
/// # std::fs::remove_file(&file)?;
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep replies in its transactions",
    label = "not a `TransactionalReplayLog`",
    note = "the logs that can are `SqliteLog`, `PostgresLog` and `MySqlLog`, or implement \
            `ferro_idem::replay::TransactionalReplayLog` for `{Self}`"
)]
pub trait TransactionalReplayLog: TransactionalLog + ReplayLog {
    /// Keeps the reply inside the transaction that marked the event. The commit makes it visible.
    ///
    /// Call it after the body, directly before the commit: then it stands in for the check that the commit makes.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the reply is not in the transaction. It must not be committed then.
    fn keep_in(
        &self,
        transaction: &mut Self::Transaction,
        event_id: &str,
        reply: NewReply<'_>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}
