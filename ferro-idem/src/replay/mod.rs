//! Replay: a duplicate gets the reply of the first delivery again.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::claim::Ownership;
use crate::error::Error;
use crate::transaction::TransactionalLog;

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

/// A log that keeps the reply of an event with its completion.
///
/// # The promise
///
/// - The reply is kept if and only if the event was completed by the same call: no crash leaves one without the other.
/// - [`kept_reply`](Self::kept_reply) returns the bytes of the completion that counts, unchanged, until they expire.
///   After that it returns `None`, and the event is still processed.
/// - An event that was purged or forgotten has no reply.
///
/// # Cancel safety
///
/// As for [`ClaimLog`](crate::ClaimLog): dropping any of these futures leaves the store consistent.
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

    /// As [`ClaimLog::complete`](crate::ClaimLog::complete), and keeps the reply in the same step.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep replies in its transactions",
    label = "not a `TransactionalReplayLog`",
    note = "the logs that can are `SqliteLog`, `PostgresLog` and `MySqlLog`, or implement \
            `ferro_idem::replay::TransactionalReplayLog` for `{Self}`"
)]
pub trait TransactionalReplayLog: TransactionalLog + ReplayLog {
    /// Keeps the reply inside the transaction that marked the event. The commit makes it visible.
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
