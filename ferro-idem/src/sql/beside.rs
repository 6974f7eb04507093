//! What other parts of the crate keep beside a log's table: their requests go through the log's pool, with its retries,
//! deadlines and group commit.

use std::sync::Arc;

use super::SqlLog;
use super::columns::SchemaLevel;
use super::connection;
use super::core::{Compiled, Core};
use super::dialect::{Dialect, SqlDatabase};
use super::group::{SharedGroup, SharedRequest};
use super::pooler::Pinned;
use super::request::Request;
use super::session::{NeedsHelp, Session};
use super::table::TableName;
use super::table_check;
use crate::error::Error;
use crate::retry::Attempts;

/// The way to tables beside a log's.
pub(crate) struct Beside<D: Dialect> {
    core: Arc<Core<D>>,
}

/// What is wrong with tables, each with what fixes it.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    /// No promise can be kept.
    pub(crate) refusals: Vec<String>,
    /// Rows may be kept out by triggers, rules or other unique keys.
    pub(crate) has_triggers: bool,
    /// A crash loses what was acknowledged.
    pub(crate) weaknesses: Vec<String>,
}

/// Not derived: a derived one would require `D: Clone`.
impl<D: Dialect> Clone for Beside<D> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<D: SqlDatabase> SqlLog<D> {
    /// `of_missing`: what to do if a table is not there, or lacks a column.
    pub(crate) fn beside(&self, table: TableName, of_missing: String) -> Beside<D> {
        Beside { core: Arc::new(self.core.beside(table, of_missing)) }
    }

    /// The name of its table.
    pub(crate) fn table_name(&self) -> &TableName {
        self.core.table()
    }
}

impl<D: Dialect> Beside<D> {
    /// Whether each request is a transaction of its own, in whatever session of the server.
    pub(crate) fn has_pooler(&self) -> bool {
        self.core.has_pooler()
    }

    /// Statements for tables that were looked at.
    pub(crate) fn compiled<S>(statements: S) -> Arc<Compiled<S>> {
        Arc::new(Compiled { level: SchemaLevel::Full, verifies: false, statements })
    }

    pub(crate) async fn send<S: Sync, R: Request<D, S>>(
        &self,
        sql: &Compiled<S>,
        request: &R,
    ) -> Result<R::Answer, Error> {
        self.core.refuse_unknown_pooler()?;
        let sent = Session::for_caller(&self.core).send_with(sql, &mut Attempts::new(), request).await;
        sent.map_err(|failed| if failed.needs_help() { failed.marked() } else { failed }.into_error())
    }

    /// Sends a request in one statement with others of its group.
    pub(crate) async fn send_shared<R: SharedRequest<D>>(
        &self,
        group: &SharedGroup<D, R>,
        sql: &Arc<Compiled<R::Statements>>,
        request: R,
    ) -> Result<R::Answer, Error> {
        self.core.refuse_unknown_pooler()?;
        group.send(&self.core, sql, request).await
    }

    /// The meaning of an error in the application's own transaction.
    pub(crate) fn explained(&self, operation: &'static str, error: sqlx::Error) -> Error {
        self.core.explained(operation, error)
    }

    /// The columns of a table, and what is wrong with it. A caller that is gone waits for a connection as well.
    pub(crate) async fn look_at(&self, table: &TableName) -> Result<(Vec<String>, Problems), Error> {
        let (found, traps) = self.core.with_table(table.clone()).look_at_table_for(true).await?;
        let columns = found.into_iter().map(|column| column.name).collect();
        let problems =
            Problems { refusals: traps.refusals, has_triggers: traps.verifies, weaknesses: traps.weaknesses };
        Ok((columns, problems))
    }

    /// Runs statements without parameters, in one message.
    pub(crate) async fn run(&self, operation: &'static str, statements: String) -> Result<(), Error> {
        let explained = |error| self.core.explained(operation, error);
        let mut connection = connection::acquire(self.core.pool()).await.map_err(explained)?;
        let mut pinned = Pinned::begin(&mut connection, self.core.has_pooler()).await.map_err(explained)?;
        let ran = D::run(pinned.connection(), statements).await;
        pinned.end(ran).await.map_err(explained)
    }

    /// Refuses tables, or a session, that break a promise.
    pub(crate) fn refuse(problems: &[String]) -> Result<(), Error> {
        table_check::refuse(problems).map_err(|error| match error {
            Error::Store { operation, advice, source } => {
                Error::Store { operation, advice, source: NeedsHelp(source).into() }
            }
            other => other,
        })
    }

    /// Whether the error stays until somebody changes the tables, the user's rights or the process.
    pub(crate) fn needs_help(error: &Error) -> bool {
        let Error::Store { source, .. } = error else { return false };
        // The look at the table may find the pool closed before the request is sent.
        source.is::<NeedsHelp>() || matches!(source.downcast_ref(), Some(sqlx::Error::PoolClosed))
    }
}
