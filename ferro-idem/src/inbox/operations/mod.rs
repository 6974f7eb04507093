//! Looking at an inbox and changing it by hand: for a runbook, a command or a page.
//!
//! [`Inbox::operations`](crate::Inbox::operations) lists events, counts them, and replays or discards those that are
//! parked:
//!
//! ```
//! use ferro_idem::Error;
//! use ferro_idem::inbox::operations::{InboxFilter, InboxOperations, InboxState};
//!
//! /// After the bank's outage: what was parked for it runs again.
//! async fn replay_for_the_bank(operations: &dyn InboxOperations) -> Result<(), Error> {
//!     let counts = operations.counts().await?;
//!     println!("{} parked, oldest unfinished {:?}", counts.of(InboxState::Parked).events, counts.oldest());
//!
//!     let bank = InboxFilter::new().with_error("503 from the bank");
//!     let parked = bank.clone().with_state(InboxState::Parked);
//!     for event in operations.list(&parked, None, 10).await?.events {
//!         println!("{} after {} attempts: {:?}", event.key(), event.attempts(), event.last_error());
//!     }
//!     operations.replay_all(&bank, &mut |page| println!("{} replayed", page.changed)).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Keys
//!
//! Inboxes of several senders share their tables, and so do their operations: the key of an event is the name of its
//! sender, a colon and the sender's id, such as `github:72d3162e-cc78-11e3-81ab-4c9367dc0958`.
//!
//! # Changes
//!
//! [`replay`](InboxOperations::replay) and [`discard`](InboxOperations::discard) take the event as it was seen. They are
//! carried out only if its state, owner and fencing token are still the same, and answer [`Change::TooLate`] otherwise:
//! two operators, or an operator and a worker, cannot undo each other's work by accident. The fencing token of an event
//! never falls.
//!
//! # Bounds
//!
//! Keys, types and errors are chosen by senders and handlers, so they may hold markup, quotes, line breaks and terminal
//! escapes. Escape them where you show them. A page has at most [`MAX_PAGE`](crate::operations::MAX_PAGE) events, and one
//! statement reads a limited part of a table: a filter that matches little returns short or empty pages with a
//! [`Page::next`].

mod changes;
mod counts;
mod event;
pub(super) mod expressions;
mod listing;
mod reads;
mod requests;
mod rows;
mod sql;
mod statements;

use std::time::Duration;

use async_trait::async_trait;

pub use self::counts::{InboxCountPage, InboxCounts};
pub use self::event::{InboxEvent, InboxState, UnknownInboxState};
pub use self::listing::{ChangePage, InboxFilter};
pub(super) use self::sql::SqlInboxOperations;
pub use crate::operations::{Change, Cursor, Page, PurgePage, StateCount};

use crate::error::Error;

/// What an operator does with an inbox by hand. The [module](self) has an example.
///
/// # Errors
///
/// Every method returns [`Error::Store`] if the database does not answer or refuses the request, and
/// [`Error::InvalidEventId`] for a key that no inbox keeps. A change that fails with [`Error::Store`] may have been
/// carried out: look at the event.
///
/// # Cancel safety
///
/// Dropping a call leaves the tables consistent and the pool usable. A change that was sent may be carried out.
#[async_trait]
pub trait InboxOperations: Send + Sync {
    /// Looks at one event by its key. `None`: the inbox has not received it, or has forgotten it.
    ///
    /// Reads the unfinished events a part at a time until it finds this one: about a second if a million wait.
    async fn look(&self, key: &str) -> Result<Option<InboxEvent>, Error>;

    /// Lists at most `limit` events that match the filter, and at most [`MAX_PAGE`](crate::operations::MAX_PAGE).
    ///
    /// Begin without a cursor, and go on with [`Page::next`] until it is `None`. Processed events are listed only if the
    /// filter has that state, in the order of their keys' bytes. All others are listed in the order of their arrival.
    /// Each event is listed once. An event that is there during the whole listing is listed, while others come and go.
    async fn list(
        &self,
        filter: &InboxFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<InboxEvent>, Error>;

    /// Counts a part of the events that are not processed. [`counts`](Self::counts) adds all parts up.
    async fn count_page(&self, after: Option<&Cursor>) -> Result<InboxCountPage, Error>;

    /// Counts a part of the keys that are kept, whatever the state of their events. [`processed`](Self::processed) adds
    /// all parts up.
    async fn count_keys_page(&self, after: Option<&Cursor>) -> Result<(u64, Option<Cursor>), Error>;

    /// Lets a parked event wait again. It is due at once, has all of its attempts, and keeps its last error until the
    /// next one.
    ///
    /// It runs in its place in the order of its key: before later events of the key that wait, after one that runs. What
    /// has run since it was parked has run before it.
    async fn replay(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error>;

    /// Gives a parked event up, and deletes its body. Its key stays, so that the sender's repetitions are duplicates: it
    /// counts as processed from now on.
    async fn discard(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error>;

    /// Replays some of the parked events that match the filter. [`replay_all`](Self::replay_all) goes through all of them.
    ///
    /// The filter's state is not looked at. Events that arrive after the first page are left out, so that one that fails
    /// again at once is not replayed for ever.
    async fn replay_page(&self, filter: &InboxFilter, after: Option<&Cursor>) -> Result<ChangePage, Error>;

    /// Discards some of the parked events that match the filter. [`discard_all`](Self::discard_all) goes through all of
    /// them.
    async fn discard_page(&self, filter: &InboxFilter, after: Option<&Cursor>) -> Result<ChangePage, Error>;

    /// Forgets old keys of processed events, a part at a time. [`purge`](Self::purge) goes through all parts.
    async fn purge_page(&self, older_than: Duration, after: Option<&Cursor>) -> Result<PurgePage, Error>;

    /// Counts the events that are not processed, and finds the oldest of each state. Reads them a part at a time.
    async fn counts(&self) -> Result<InboxCounts, Error> {
        let mut page = self.count_page(None).await?;
        let mut counts = page.counts;
        while let Some(next) = page.next {
            page = self.count_page(Some(&next)).await?;
            counts.add(&page.counts);
        }
        Ok(counts)
    }

    /// Counts the processed events whose keys are kept. Reads all keys a part at a time: some seconds for ten million.
    /// Events that come and go meanwhile make it inexact.
    async fn processed(&self) -> Result<u64, Error> {
        let unfinished = self.counts().await?.total();
        let (mut keys, mut next) = self.count_keys_page(None).await?;
        while let Some(after) = next {
            let (of_page, then) = self.count_keys_page(Some(&after)).await?;
            keys = keys.saturating_add(of_page);
            next = then;
        }
        Ok(keys.saturating_sub(unfinished))
    }

    /// Replays all parked events that match the filter, and returns their number. Every batch is a transaction of its
    /// own.
    ///
    /// `progress` is called after each batch, with what that batch came to.
    async fn replay_all(
        &self,
        filter: &InboxFilter,
        progress: &mut (dyn for<'p> FnMut(&'p ChangePage) + Send),
    ) -> Result<u64, Error> {
        change_all(self, ByHand::Replay, filter, progress).await
    }

    /// Discards all parked events that match the filter, and returns their number. Every batch is a transaction of its
    /// own.
    ///
    /// `progress` is called after each batch, with what that batch came to.
    async fn discard_all(
        &self,
        filter: &InboxFilter,
        progress: &mut (dyn for<'p> FnMut(&'p ChangePage) + Send),
    ) -> Result<u64, Error> {
        change_all(self, ByHand::Discard, filter, progress).await
    }

    /// Forgets the keys of processed events that were received longer ago than this, and returns their number. An event
    /// whose key is forgotten runs again if it comes back: see [`RETENTION`](crate::RETENTION).
    ///
    /// `progress` is called after each part, with what that part came to.
    async fn purge(
        &self,
        older_than: Duration,
        progress: &mut (dyn for<'p> FnMut(&'p PurgePage) + Send),
    ) -> Result<u64, Error> {
        let mut deleted = 0_u64;
        let mut after = None;
        loop {
            let page = self.purge_page(older_than, after.as_ref()).await?;
            deleted = deleted.saturating_add(page.deleted);
            progress(&page);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(deleted),
            }
        }
    }
}

/// What is done to parked events.
#[derive(Clone, Copy)]
enum ByHand {
    Replay,
    Discard,
}

async fn change_all<O: InboxOperations + ?Sized>(
    operations: &O,
    by_hand: ByHand,
    filter: &InboxFilter,
    progress: &mut (dyn for<'p> FnMut(&'p ChangePage) + Send),
) -> Result<u64, Error> {
    let mut changed = 0_u64;
    let mut after = None;
    loop {
        let page = match by_hand {
            ByHand::Replay => operations.replay_page(filter, after.as_ref()).await?,
            ByHand::Discard => operations.discard_page(filter, after.as_ref()).await?,
        };
        changed = changed.saturating_add(page.changed);
        progress(&page);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(changed),
        }
    }
}
