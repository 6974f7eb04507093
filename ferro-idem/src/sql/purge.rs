//! Purging: forgets old events, a page at a time.

use std::sync::Arc;
use std::time::Duration;

use super::SqlLog;
use super::core::Core;
use super::dialect::{Dialect, QueryFuture, SqlDatabase};
use super::event_state::PageEnd;
use super::request::Request;
use super::session::{RequestFailed, Session};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::retry::{Attempt, Attempts};

/// A thousand years, in seconds. No database has times before the year 0.
const MAX_AGE: i64 = 31_557_600_000;

/// An age in seconds that every database can subtract from the time.
pub(crate) fn seconds_of_age(age: Duration) -> i64 {
    i64::try_from(age.as_secs()).unwrap_or(i64::MAX).min(MAX_AGE)
}

impl<D: SqlDatabase> SqlLog<D> {
    /// Deletes the events that were received longer than `older_than` ago, and returns their number.
    ///
    /// A purged event runs again if it comes back: [`RETENTION`](crate::RETENTION) is longer than any resend
    /// of Stripe's. Deletes in small transactions, so that marks wait for a few milliseconds at most. Never
    /// deletes a running claim. Run it once a day.
    ///
    /// Deletes the replies that have expired as well, whatever the age of their events.
    ///
    /// Cancel safe: the current page is finished in the background, and the rest stays.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]. What was deleted before it stays deleted.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        let older_than = seconds_of_age(older_than);
        let mut after = PageEnd::new();
        let mut deleted = 0;
        loop {
            // A connection in the middle of a page is not fit for the pool, so a page is always finished.
            let page = purge_page(Arc::clone(&self.core), PurgePage { after, older_than });
            let Some(page) = DetachOnDrop::new(page).await? else { return Ok(deleted) };
            deleted += page.deleted;
            after = page.end;
        }
    }
}

/// What a page came to.
pub(super) struct Purged {
    pub(super) end: PageEnd,
    pub(super) deleted: u64,
    pub(super) replies: u64,
}

pub(super) async fn purge_page<D: Dialect>(
    core: Arc<Core<D>>,
    page: PurgePage,
) -> Result<Option<Purged>, Error> {
    let sql = core.current_sql().await?;
    if page.after.is_empty() {
        core.look_for_replies().await?;
    }
    let mut session = Session::for_caller(&core);
    let purged = session.send_with(sql, &mut Attempts::new(), &page).await;
    let Some((end, deleted)) = purged.map_err(RequestFailed::into_error)? else { return Ok(None) };
    let mut replies = 0;
    if core.has_replies() {
        let expired = ExpiredReplies { after: page.after, end: end.clone() };
        let forgotten = session.send_with(sql, &mut Attempts::new(), &expired).await;
        replies = forgotten.map_err(RequestFailed::into_error)?;
    }
    Ok(Some(Purged { end, deleted, replies }))
}

/// The replies of a page that have expired.
struct ExpiredReplies {
    after: PageEnd,
    end: PageEnd,
}

impl<D: Dialect> Request<D> for ExpiredReplies {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = u64;

    fn operation(&self) -> &'static str {
        "purge expired replies"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _: Attempt,
    ) -> impl QueryFuture<u64> {
        D::purge_replies(connection, D::reply_statements(statements), &self.after, &self.end)
    }
}

/// Pages follow the primary key, so that a purge reads the table once however many rows stay, and needs no
/// index of its own.
pub(super) struct PurgePage {
    pub(super) after: PageEnd,
    pub(super) older_than: i64,
}

impl<D: Dialect> Request<D> for PurgePage {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Option<(PageEnd, u64)>;

    fn operation(&self) -> &'static str {
        "purge old events"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _: Attempt,
    ) -> impl QueryFuture<Self::Answer> {
        D::purge_page(connection, statements, &self.after, self.older_than)
    }
}
