//! Marks an event and commits it together with the body's effects. It is written once, over a small trait for the
//! connections of every driver: [`connection`].
//!
//! [`steps`] has the steps, which each database implements in its own folder. [`open`] puts them together.

pub(crate) mod connection;
pub(crate) mod kept_reply;
pub(crate) mod open;
mod refused_commit;
pub(crate) mod steps;
pub(crate) mod value;

use std::future::Future;
use std::time::Duration;

use super::columns::SchemaLevel;
use super::event_state::Mark;
use super::fault::Fault;
use crate::error::Error;
use crate::retry::answer_within;
use crate::transaction::CommittedEarly;

/// When a delivery should come again if another transaction has its event. How long that transaction takes
/// is not known.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) const BEGIN: &str = "begin a transaction";
pub(crate) const MARK: &str = "mark the event as processed";
pub(crate) const COMMIT: &str = "commit the event and its effects";
pub(crate) const ROLL_BACK: &str = "roll the event back";

/// What became of the mark of a body that committed by itself and then failed.
pub(crate) const TAKEN_BACK: &str =
    "A part of its effects is kept. The mark was taken back, so that the next delivery runs all of it";
pub(crate) const STAYS: &str = "A part of its effects is kept, and the mark as well: look what is missing, and delete the \
                                event's row to let it run again";

/// The mark that a transaction made. Cheap to clone.
#[derive(Clone)]
pub(crate) struct MadeMark {
    pub(crate) mark: Mark,
    /// One from before an upgrade has no owner.
    pub(crate) level: SchemaLevel,
    /// The event had a row before.
    pub(crate) is_taken_over: bool,
}

/// The database has rolled back by itself, so a commit would report an event that left no trace.
pub(crate) fn mark_is_gone() -> Error {
    Fault::rolled_back().of(COMMIT, "the mark is gone from the transaction")
}

/// The body has committed by itself, and succeeded.
pub(crate) fn committed_early() -> Error {
    Fault::committed_early(
        "All of its effects are kept, and so is the mark: the next delivery is a duplicate",
    )
    .of(COMMIT, CommittedEarly)
}

/// Waits for the answer of a request that cannot be repeated, because its transaction is gone with its
/// connection.
pub(crate) async fn answered_once(
    operation: &'static str,
    limit: Option<Duration>,
    request: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    answer_within(limit, request).await.unwrap_or_else(|late| Err(Fault::late().of(operation, late)))
}
