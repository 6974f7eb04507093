//! Operations on an inbox in a SQL database.

use std::time::Duration;

use async_trait::async_trait;

use super::InboxOperations;
use super::counts::{InboxCountPage, InboxCounts};
use super::event::{InboxEvent, InboxState};
use super::listing::{ChangePage, InboxFilter};
use super::requests::Read;
use super::rows::{cursor, numbers};
use super::statements::{BEFORE_KEYS, PART, Statement, Statements};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::InvalidEventId;
use crate::inbox::dialect::InboxDatabase;
use crate::inbox::step::Step;
use crate::inbox::store::InboxStore;
use crate::operations::{Change, Cursor, MAX_PAGE, Page, PurgePage};
use crate::sql::{Cells, PURGE_PAGE, Request, time_of};

/// The operations of one inbox's tables.
pub(in crate::inbox) struct SqlInboxOperations<D: InboxDatabase> {
    pub(super) store: InboxStore<D>,
    pub(super) statements: Statements,
}

impl<D: InboxDatabase> SqlInboxOperations<D> {
    pub(in crate::inbox) fn new(store: InboxStore<D>) -> Self {
        let statements = Statements::new::<D>(store.names());
        Self { store, statements }
    }

    /// Sends a request in a background task if its caller is dropped, so that no connection is in the middle of it.
    pub(super) async fn send<R>(&self, request: R) -> Result<R::Answer, Error>
    where
        R: Request<D, D::InboxStatements, Answer: 'static> + Send + 'static,
    {
        let store = self.store.clone();
        DetachOnDrop::new(async move { store.send(&request).await }).await
    }

    pub(super) async fn read(&self, query: Statement, bytes: usize) -> Result<Vec<Cells>, Error> {
        self.send(Read { query, bytes }).await
    }
}

#[async_trait]
impl<D: InboxDatabase> InboxOperations for SqlInboxOperations<D> {
    async fn look(&self, key: &str) -> Result<Option<InboxEvent>, Error> {
        valid(key)?;
        self.find(key).await
    }

    async fn list(
        &self,
        filter: &InboxFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<InboxEvent>, Error> {
        let limit = limit.clamp(1, MAX_PAGE);
        match filter.state {
            Some(InboxState::Processed) => self.list_processed(filter, after, limit).await,
            _ => self.list_unfinished(filter, after, limit).await,
        }
    }

    async fn count_page(&self, after: Option<&Cursor>) -> Result<InboxCountPage, Error> {
        let [after] = after.map_or(Ok([0]), numbers)?;
        let mut counts = InboxCounts::default();
        for row in self.read(self.statements.count(after), 0).await? {
            let state = InboxState::of(row.number(0).unwrap_or(0), row.number(1));
            counts.count(state, row.count(2), row.number(3).and_then(time_of));
        }
        let end = self.part_end(after).await?;
        Ok(InboxCountPage::new(counts, end.map(|end| cursor(&[end]))))
    }

    async fn count_keys_page(&self, after: Option<&Cursor>) -> Result<(u64, Option<Cursor>), Error> {
        let after = after.map(Cursor::key).transpose()?.unwrap_or_else(|| BEFORE_KEYS.to_vec());
        let (end, keys) = self.keys_end(&after).await?;
        Ok((keys, end.filter(|_| keys >= PART.unsigned_abs()).map(|end| Cursor::of_key(&end))))
    }

    async fn replay(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        self.change(Step::Replay, seen).await
    }

    async fn discard(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        self.change(Step::Discard, seen).await
    }

    async fn replay_page(&self, filter: &InboxFilter, after: Option<&Cursor>) -> Result<ChangePage, Error> {
        self.change_page(Step::Replay, filter, after).await
    }

    async fn discard_page(&self, filter: &InboxFilter, after: Option<&Cursor>) -> Result<ChangePage, Error> {
        self.change_page(Step::Discard, filter, after).await
    }

    async fn purge_page(&self, older_than: Duration, after: Option<&Cursor>) -> Result<PurgePage, Error> {
        let after = after.map(Cursor::key).transpose()?.unwrap_or_default();
        Ok(match self.store.purge_page(older_than, after).await? {
            Some((end, deleted)) => {
                PurgePage::new(deleted, PURGE_PAGE.unsigned_abs(), Some(Cursor::of_key(&end)))
            }
            None => PurgePage::default(),
        })
    }
}

/// A key that no inbox has is a mistake of the caller.
fn valid(key: &str) -> Result<(), Error> {
    let reason = match key {
        "" => InvalidEventId::Empty,
        key if key.contains('\0') => InvalidEventId::HoldsNul,
        _ => return Ok(()),
    };
    Err(Error::InvalidEventId { reason })
}
