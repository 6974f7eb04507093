//! Forgetting, a few rows at a time.

use std::time::Duration;

use super::SqlLog;
use super::dialect::{Asked, Dialect, PageEnd};
use super::request::Request;
use super::session::{Session, Unanswered};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::retry::Attempts;

impl<D: Dialect> SqlLog<D> {
    /// Deletes the events received longer than `older_than` ago, and says how many.
    ///
    /// An event that comes back after that runs again: [`RETENTION`](crate::RETENTION) is longer
    /// than any resend of Stripe's. Deletes in small transactions, so that marks wait for a few
    /// milliseconds at most; a running claim is never deleted. Run it once a day.
    ///
    /// Cancel safe: what was deleted stays deleted, a page that was begun is finished, the rest stays.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; what was deleted before it stays deleted.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        // No database has times before the year 0.
        let older_than = i64::try_from(older_than.as_secs()).unwrap_or(i64::MAX).min(MAX_AGE);
        let mut after = PageEnd::new();
        let mut deleted = 0;
        while let Some((end, of_page)) =
            DetachOnDrop::new(self.clone().purge_page(Page { after, older_than })).await?
        {
            deleted += of_page;
            after = end;
        }
        Ok(deleted)
    }

    /// Seen through when it is dropped: in the middle of it, a connection is not fit for the pool.
    async fn purge_page(self, page: Page) -> Result<Option<(PageEnd, u64)>, Error> {
        let statements = self.current_statements().await?;
        let purged = Session::of_one(&self).ask_after(Attempts::new(), statements, &page).await;
        purged.map_err(Unanswered::into_error)
    }
}

/// A thousand years, in seconds.
const MAX_AGE: i64 = 31_557_600_000;

/// Pages follow the primary key, so that purging reads the table once however many rows stay, and
/// needs no index of its own.
struct Page {
    after: PageEnd,
    older_than: i64,
}

impl<D: Dialect> Request<D> for Page {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Option<(PageEnd, u64)>;

    fn operation(&self) -> &'static str {
        "purge old events"
    }

    fn events(&self) -> usize {
        1
    }

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _again: bool,
    ) -> impl Asked<Self::Answer> {
        D::purge_page(connection, statements, &self.after, self.older_than)
    }
}
