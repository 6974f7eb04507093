//! Looking at a log and changing it by hand: for a runbook, a command or a page.
//!
//! Every log has `operations()`. It lists events, counts them, and frees, completes or forgets one that is stuck:
//!
//! ```
//! use ferro_idem::operations::{Change, EventState, Filter};
//! use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
//! let log = MemoryProcessedLog::new();
//! log.try_mark_processed("evt_1").await?;
//!
//! let operations = log.operations();
//! let page = operations.list(&Filter::new().with_state(EventState::Processed), None, 50).await?;
//! for event in &page.events {
//!     println!("{} {} {}", event.id(), event.state(), event.fencing_token());
//! }
//!
//! // The handler failed after its mark: let the next delivery run.
//! let lost = operations.look("evt_1").await?.expect("it was marked");
//! assert_eq!(operations.forget(&lost).await?, Change::Done);
//! assert!(log.try_mark_processed("evt_1").await?);
//! # Ok(()) }
//! ```
//!
//! # Changes
//!
//! [`release`](Operations::release), [`complete`](Operations::complete) and [`forget`](Operations::forget) take the
//! event as it was seen. They are carried out only if its state, owner and fencing token are still the same, and
//! answer [`Change::TooLate`] otherwise: two operators, or an operator and a delivery, cannot undo each other's work
//! by accident. The fencing token of an event never falls.
//!
//! # Bounds
//!
//! Event ids and types are chosen by senders, so they may hold anything but NUL: markup, quotes, line breaks and
//! terminal escapes. Escape them where you show them. A page has at most [`MAX_PAGE`] events, and one call
//! reads a limited part of the table: a filter that matches little returns short or empty pages with a
//! [`Page::next`].

mod change;
mod event;
mod listing;
#[cfg(any(
    feature = "memory",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
))]
mod row_change;
#[cfg(any(feature = "cli", feature = "console"))]
pub(crate) mod text;
mod totals;

use std::time::Duration;

use async_trait::async_trait;

pub use self::change::{Change, Lack};
pub use self::event::{EventState, LoggedEvent, UnknownState};
pub use self::listing::{Cursor, Filter, InvalidCursor, MAX_PAGE, Page};
#[cfg(any(
    feature = "memory",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
))]
pub(crate) use self::row_change::RowChange;
pub use self::totals::{CountPage, Counts, PurgePage, StateCount};

use crate::error::Error;

/// What an operator does with a log by hand. The [module](self) has an example.
///
/// # Errors
///
/// Every method returns [`Error::Store`] if the store does not answer or refuses the request, and
/// [`Error::InvalidEventId`] for an id that no log keeps. A change that fails with [`Error::Store`] may have been
/// carried out: look at the event. If an answer of Redis to [`forget`](Operations::forget) is lost, the repeated request
/// finds no event and answers `TooLate(None)`.
///
/// # Cancel safety
///
/// Dropping a call leaves the store consistent and the pool or connection usable. A change that was sent may be
/// carried out.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Looks at one event by its key, the scope included. `None`: the log does not have it.
    async fn look(&self, event_id: &str) -> Result<Option<LoggedEvent>, Error>;

    /// Lists at most `limit` events that match the filter, and at most [`MAX_PAGE`].
    ///
    /// Begin without a cursor, and go on with [`Page::next`] until it is `None`. SQL logs and the memory log list in
    /// the order of the keys' bytes, and each event once. Redis has no order, and may list an event twice. An event that
    /// is there during the whole listing is listed, while others come and go.
    async fn list(&self, filter: &Filter, after: Option<&Cursor>, limit: usize) -> Result<Page, Error>;

    /// Counts the events of a part of the log. [`counts`](Self::counts) adds all parts up.
    async fn count_page(&self, after: Option<&Cursor>) -> Result<CountPage, Error>;

    /// Frees a claimed event, so that its next delivery runs with a higher fencing token.
    ///
    /// The delivery that had the claim cannot renew or complete it any more. Make sure that its process is gone, or the
    /// body may run twice at the same time.
    async fn release(&self, seen: &LoggedEvent) -> Result<Change, Error>;

    /// Makes a claimed or released event processed: further deliveries are duplicates.
    async fn complete(&self, seen: &LoggedEvent) -> Result<Change, Error>;

    /// Lets a processed event run again at its next delivery.
    ///
    /// A mark without a fencing token is deleted. An event that was claimed is kept as released, because its
    /// fencing token must not fall. Under a plain fence, such an event still counts as seen.
    async fn forget(&self, seen: &LoggedEvent) -> Result<Change, Error>;

    /// Deletes the reply that is kept for a processed event, for example because a person wants their data deleted. The
    /// event stays processed: further deliveries are duplicates, for which there is no reply.
    ///
    /// [`forget`](Self::forget) deletes the reply as well, and lets the event run again.
    async fn forget_reply(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        let _ = seen;
        Ok(Change::NotPossible("This log keeps no replies."))
    }

    /// Deletes old events of a part of the log, and replies that have expired. [`purge`](Self::purge) goes through all parts.
    async fn purge_page(&self, older_than: Duration, after: Option<&Cursor>) -> Result<PurgePage, Error>;

    /// What this log cannot say or do, for example because its table is a plain one.
    async fn lacks(&self) -> Result<Vec<Lack>, Error>;

    /// Counts all events, and finds the oldest of each state.
    ///
    /// Reads the whole log, a part at a time, so that no statement runs for long.
    async fn counts(&self) -> Result<Counts, Error> {
        let mut page = self.count_page(None).await?;
        let mut counts = page.counts;
        while let Some(next) = page.next {
            page = self.count_page(Some(&next)).await?;
            counts.add(&page.counts);
        }
        Ok(counts)
    }

    /// Deletes the events that are older than this, and returns their number. Never deletes a live claim.
    ///
    /// Deletes all replies that have expired as well, also those of younger events.
    ///
    /// `progress` is called after each part, with what that part came to. A purged event runs again if it comes back:
    /// see [`RETENTION`](crate::RETENTION).
    async fn purge(
        &self,
        older_than: Duration,
        progress: &mut (dyn for<'p> FnMut(&'p PurgePage) + Send),
    ) -> Result<u64, Error> {
        let mut deleted = 0;
        let mut after = None;
        loop {
            let page = self.purge_page(older_than, after.as_ref()).await?;
            deleted += page.deleted;
            progress(&page);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(deleted),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::owner::Owner;

    #[test]
    fn a_version_changes_with_state_token_and_owner() {
        let event = |state, token, owner| {
            LoggedEvent::new("evt_1", state).with_fencing_token(token).with_owner(owner).version()
        };
        let owners = [None, Some(Owner::from_bytes([1; 16])), Some(Owner::from_bytes([2; 16]))];
        let states = [EventState::Claimed, EventState::Released, EventState::Processed];
        let mut all = std::collections::HashSet::new();
        for owner in owners {
            for state in states {
                for token in [0, 1, u64::MAX] {
                    assert!(all.insert(event(state, token, owner)));
                }
            }
        }
        // A lease that ends meanwhile is not a change of the claim.
        assert_eq!(event(EventState::Claimed, 1, owners[1]), event(EventState::LeaseEnded, 1, owners[1]));
    }

    #[test]
    fn counts_add_up_and_keep_the_oldest() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let mut counts = Counts::default();
        counts.count(EventState::Released, 2, at(9));
        let mut other = Counts::default();
        other.count(EventState::Released, 1, at(5));
        other.count(EventState::Processed, 4, None);
        counts.add(&other);
        assert_eq!(counts.of(EventState::Released), StateCount { events: 3, oldest: at(5) });
        assert_eq!((counts.total(), counts.oldest()), (7, at(5)));
    }

    #[test]
    fn states_are_written_and_read_alike() {
        for state in EventState::ALL {
            assert_eq!(state.to_string().parse::<EventState>(), Ok(state));
        }
        assert!("Processed\u{1b}[31m".parse::<EventState>().is_err());
    }

    #[test]
    fn only_what_a_page_said_is_a_cursor() {
        let cursor = Cursor::of_key("evt_\u{1b}é'".as_bytes());
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        assert_eq!(cursor.key().unwrap(), "evt_\u{1b}é'".as_bytes());
        for wrong in ["", "zz", "x", "evt_1", "k6", "kéé", &"k".repeat(200_000)] {
            let read = wrong.parse::<Cursor>();
            assert!(read.is_err() || read.unwrap().key().is_err(), "{wrong:.10}");
        }
    }
}
