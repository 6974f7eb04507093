//! Operations on a SQL log: one implementation over the expressions in which databases differ.

mod changes;
mod expressions;
mod reads;
pub(super) mod rows;
pub(super) mod statements;
mod upgrade;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;

use self::changes::{ChangeEvent, ForgetReply};
use self::reads::{CountPart, ListPart, LookAtOne};
use self::statements::Statements;
use super::SqlLog;
use super::columns::SchemaLevel;
use super::core::{Compiled, Core};
use super::dialect::SqlDatabase;
use super::event_state::PURGE_PAGE;
use super::purge::{PurgePage as PurgedRows, Purged, purge_page, seconds_of_age};
use super::request::Request;
use super::session::{RequestFailed, Session};
use super::table_check;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::operations::{
    Change, CountPage, Cursor, Filter, Lack, LoggedEvent, MAX_PAGE, Operations, Page, PurgePage, RowChange,
};
use crate::owner::Owner;
use crate::retry::Attempts;

/// How many statements one page of a list sends. Each reads [`reads::PART`] rows at most.
const MAX_PARTS: u32 = 10;

impl<D: SqlDatabase> SqlLog<D> {
    /// Looks at the log's events and changes them by hand: see [`operations`](crate::operations).
    ///
    /// A plain table can list, count, forget and purge. Its events have no claims to release or complete.
    ///
    /// ```
    /// # use ferro_idem::{Error, ProcessedEventLog, SqliteLog};
    /// # async fn example(log: SqliteLog) -> Result<(), Error> {
    /// let operations = log.operations();
    /// if let Some(event) = operations.look("evt_1").await? {
    ///     println!("{} since {:?}", event.state(), event.updated_at());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn operations(&self) -> Arc<dyn Operations> {
        Arc::new(SqlOperations { core: Arc::clone(&self.core), full: OnceLock::new() })
    }
}

struct SqlOperations<D: SqlDatabase> {
    core: Arc<Core<D>>,
    /// The statements for a table with all columns. Another one is looked at each time, because it may be upgraded.
    full: OnceLock<Arc<Compiled<Statements>>>,
}

impl<D: SqlDatabase> SqlOperations<D> {
    /// The statements for the table as it is now.
    async fn sql(&self) -> Result<Arc<Compiled<Statements>>, Error> {
        self.core.refuse_unknown_pooler()?;
        if let Some(sql) = self.full.get() {
            return Ok(Arc::clone(sql));
        }
        let (found, traps) = self.core.look_at_table().await?;
        table_check::refuse(&traps.refusals)?;
        let level = table_check::schema_level_of(D::TABLE, self.core.table(), &found)?;
        let statements = Statements::new::<D>(self.core.table(), level, &found);
        let is_final = statements.has_replies;
        let sql = Arc::new(Compiled { level, verifies: traps.verifies, statements });
        if is_final {
            return Ok(Arc::clone(self.full.get_or_init(|| sql)));
        }
        Ok(sql)
    }

    /// Sends a request in a background task if its caller is dropped, so that no connection is in the middle of it.
    async fn send<R>(&self, sql: Arc<Compiled<Statements>>, request: R) -> Result<R::Answer, Error>
    where
        R: Request<D, Statements, Answer: 'static> + Send + 'static,
    {
        let core = Arc::clone(&self.core);
        let sent = async move {
            let answer = Session::for_caller(&core).send_with(&sql, &mut Attempts::new(), &request).await;
            answer.map_err(RequestFailed::into_error)
        };
        DetachOnDrop::new(sent).await
    }

    async fn change(&self, seen: &LoggedEvent, change: RowChange) -> Result<Change, Error> {
        let sql = self.sql().await?;
        if sql.level == SchemaLevel::Plain && change != RowChange::Delete {
            return Ok(Change::NotPossible(
                "The table is a plain one, which holds no claims. Run the statements of UPGRADE to add them.",
            ));
        }
        self.send(sql, ChangeEvent::new(seen, change, Owner::random()?)).await
    }
}

/// The time is the statement's business: no table has a `received_at`.
fn no_times() -> Error {
    Error::Store {
        operation: "tell how old an event is".into(),
        advice:
            "the table has no column `received_at` that keeps it: add it with a default of the current time"
                .into(),
        source: sqlx::Error::ColumnNotFound("received_at".into()).into(),
    }
}

#[async_trait]
impl<D: SqlDatabase> Operations for SqlOperations<D> {
    async fn look(&self, event_id: &str) -> Result<Option<LoggedEvent>, Error> {
        let id = EventRef::new(event_id)?.id().to_owned();
        self.send(self.sql().await?, LookAtOne { id }).await
    }

    async fn list(&self, filter: &Filter, after: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        let sql = self.sql().await?;
        if filter.needs_times() && !sql.statements.has_received_at {
            return Err(no_times());
        }
        let mut after = after.map(Cursor::key).transpose()?.unwrap_or_default();
        let limit = limit.clamp(1, MAX_PAGE);
        let mut events = Vec::new();
        let mut parts = 0;
        let next = loop {
            let wanted = limit - events.len();
            let part = ListPart::new(filter.clone(), after, wanted);
            let (mut found, end) = self.send(Arc::clone(&sql), part).await?;
            parts += 1;
            events.append(&mut found);
            match end {
                Some(end) if events.len() < limit && parts < MAX_PARTS => after = end,
                end => break end,
            }
        };
        Ok(Page::new(events, next.map(|end| Cursor::of_key(&end))))
    }

    async fn count_page(&self, after: Option<&Cursor>) -> Result<CountPage, Error> {
        let sql = self.sql().await?;
        let after = after.map(Cursor::key).transpose()?.unwrap_or_default();
        let (counts, end) = self.send(sql, CountPart { after }).await?;
        Ok(CountPage::new(counts, end.map(|end| Cursor::of_key(&end))))
    }

    async fn release(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match RowChange::of_release(seen) {
            Ok(change) => self.change(seen, change).await,
            Err(why) => Ok(Change::NotPossible(why)),
        }
    }

    async fn complete(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match RowChange::of_complete(seen) {
            Ok(change) => self.change(seen, change).await,
            Err(why) => Ok(Change::NotPossible(why)),
        }
    }

    async fn forget(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match RowChange::of_forget(seen) {
            Ok(change) => self.change(seen, change).await,
            Err(why) => Ok(Change::NotPossible(why)),
        }
    }

    async fn forget_reply(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        if let Err(why) = RowChange::of_reply(seen) {
            return Ok(Change::NotPossible(why));
        }
        let sql = self.sql().await?;
        if !sql.statements.has_replies {
            return Ok(Change::NotPossible("The table has no columns for replies."));
        }
        self.send(sql, ForgetReply(seen.clone())).await
    }

    async fn purge_page(&self, older_than: Duration, after: Option<&Cursor>) -> Result<PurgePage, Error> {
        let older_than = seconds_of_age(older_than);
        let after = after.map(Cursor::key).transpose()?.unwrap_or_default();
        let page = purge_page(Arc::clone(&self.core), PurgedRows { after, older_than });
        Ok(match DetachOnDrop::new(page).await? {
            Some(Purged { end, deleted, replies }) => {
                PurgePage::new(deleted, PURGE_PAGE.unsigned_abs(), Some(Cursor::of_key(&end)))
                    .with_replies(replies)
            }
            None => PurgePage::default(),
        })
    }

    async fn lacks(&self) -> Result<Vec<Lack>, Error> {
        let sql = self.sql().await?;
        let mut lacks = Vec::new();
        if sql.level == SchemaLevel::Plain {
            lacks.push(Lack::Claims);
        }
        if !sql.statements.has_received_at {
            lacks.push(Lack::Times);
        }
        Ok(lacks)
    }
}
