//! The log over a layer's pool.

use std::fmt;
use std::sync::Arc;

use super::begin::{LIMIT, begin_session};
use super::layer::DatabaseLayer;
use super::table::EventTable;
use crate::error::Error;
use crate::event_table::in_transaction::connection::{Connection, Session};
use crate::event_table::name::{InvalidTableName, TableName};
use crate::retry::answer_within;

/// A log with `transaction(tx)`, over the pool of another database layer than sqlx:
#[cfg_attr(feature = "tokio-postgres", doc = "[`TokioPostgresLog`](crate::TokioPostgresLog),")]
#[cfg_attr(feature = "sea-orm", doc = "[`SeaOrmLog`](crate::SeaOrmLog),")]
#[cfg_attr(feature = "diesel-postgres", doc = "[`DieselPostgresLog`](crate::DieselPostgresLog),")]
#[cfg_attr(feature = "diesel-mysql", doc = "[`DieselMySqlLog`](crate::DieselMySqlLog),")]
/// whose documentation says what is special about each.
///
/// The rows and the locks are those of the logs over sqlx ([`PostgresLog`](crate::PostgresLog),
/// [`MySqlLog`](crate::MySqlLog), [`SqliteLog`](crate::SqliteLog)): a fence or a claim through one of them and a
/// transaction through a layer exclude each other, at the same time too. The table and what is said there about the
/// database is the same. A layer has no fence and no claim of its own.
///
/// Every wait has a limit: for a connection, for each statement of the log, for the commit. A body that is dropped, or
/// that panics, is rolled back in the background before its connection is used again; if that gets no answer in 2
/// seconds, the connection is closed.
pub struct LayerLog<L: DatabaseLayer> {
    pub(super) layer: Arc<L>,
    pub(super) table: Arc<EventTable>,
}

impl<L: DatabaseLayer> LayerLog<L> {
    /// Creates nothing and sends nothing.
    pub(super) fn over(layer: L) -> Self {
        let table = EventTable::new(layer.engine(), TableName::recommended(layer.engine().quote()));
        Self { layer: Arc::new(layer), table: Arc::new(table) }
    }

    fn with(self, name: TableName) -> Self {
        Self { table: Arc::new(EventTable::new(self.table.engine, name)), ..self }
    }

    /// The same log over another table than `stripe_processed_events`.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] if the name is not letters, digits and `_`, or is over 63 bytes.
    pub fn with_table(self, name: &str) -> Result<Self, InvalidTableName> {
        let name = self.table.name.with_name(name)?;
        Ok(self.with(name))
    }

    /// The same log over a table in this schema: a schema of PostgreSQL, another database of a MySQL server, or a
    /// database that is attached to every SQLite connection.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] if the schema's name is not letters, digits and `_`, or is over 63 bytes.
    pub fn with_schema(self, schema: &str) -> Result<Self, InvalidTableName> {
        let name = self.table.name.with_schema(schema)?;
        Ok(self.with(name))
    }

    /// The statement that creates the table, to be put into a migration. It is the same as that of the log over sqlx.
    pub fn schema(&self) -> String {
        self.table.name.in_statement(self.table.engine.text().schema)
    }

    /// The statements that upgrade a plain table (`event_id`, `event_type`, `received_at`) to that of
    /// [`schema`](Self::schema). A plain table works unchanged for transactions.
    pub fn upgrade(&self) -> String {
        self.table.name.in_statement(self.table.engine.text().upgrade)
    }

    /// Checks the table, its columns and the session's settings. Run it when the application starts, so that it does not
    /// find out at the first delivery. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with everything that is wrong, each with what fixes it; or if the database cannot be reached.
    pub async fn check(&self) -> Result<(), Error> {
        let mut session = begin_session(&self.layer, &self.table).await?;
        let checked = self.table.check(&mut session).await;
        drop(answer_within(LIMIT, session.roll_back()).await);
        checked
    }

    /// Creates the table if it is missing, for development and tests. In production, put [`schema`](Self::schema) into
    /// your migrations.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database cannot be written.
    pub async fn create_table(&self) -> Result<(), Error> {
        const OPERATION: &str = "create the table";
        let mut session = begin_session(&self.layer, &self.table).await?;
        let explained = |error| self.table.explained(OPERATION, error);
        session.run(&self.schema()).await.map_err(explained)?;
        session.commit().await.map_err(explained)
    }
}

/// Not derived: a derived one would require `L: Clone`.
impl<L: DatabaseLayer> Clone for LayerLog<L> {
    fn clone(&self) -> Self {
        Self { layer: Arc::clone(&self.layer), table: Arc::clone(&self.table) }
    }
}

impl<L: DatabaseLayer> fmt::Debug for LayerLog<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LayerLog")
            .field("layer", &L::NAME)
            .field("database", &self.table.engine.name())
            .field("table", &self.table.name)
            .finish_non_exhaustive()
    }
}
