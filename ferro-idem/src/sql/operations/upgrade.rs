//! The columns that a plain table lacks.

use crate::error::Error;
use crate::sql::SqlLog;
use crate::sql::dialect::SqlDatabase;
use crate::sql::table_check;

impl<D: SqlDatabase> SqlLog<D> {
    /// The statements of [`UPGRADE`](Self::UPGRADE) that this log's own table still needs, one a line. Empty if it has
    /// all columns.
    ///
    /// ```
    /// # use ferro_idem::{Error, SqliteLog};
    /// # async fn example(log: SqliteLog) -> Result<(), Error> {
    /// print!("{}", log.missing_columns().await?); // for a migration
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database cannot be reached, or if no log can be kept in the table.
    pub async fn missing_columns(&self) -> Result<String, Error> {
        let (found, traps) = self.core.look_at_table().await?;
        table_check::refuse(&traps.refusals)?;
        table_check::schema_level_of(D::TABLE, self.core.table(), &found)?;
        Ok(table_check::missing(D::TABLE, self.core.table(), &found))
    }
}

#[cfg(feature = "cli")]
mod run {
    use std::time::Duration;

    use tokio::time::sleep;

    use crate::error::Error;
    use crate::retry::FaultKind;
    use crate::sql::SqlLog;
    use crate::sql::connection;
    use crate::sql::dialect::SqlDatabase;
    use crate::sql::operations::rows::OperationsDialect;

    const OPERATION: &str = "add a column to the table";

    /// How often a statement is sent that waited for a lock in vain.
    const MAX_TRIES: u32 = 30;

    const PAUSE: Duration = Duration::from_secs(1);

    impl<D: SqlDatabase> SqlLog<D> {
        /// Runs one of these statements. It waits for the table for a second at a time, because every mark waits with it.
        pub(crate) async fn add_column(&self, statement: &str) -> Result<(), Error> {
            let mut tries = 0;
            loop {
                tries += 1;
                let mut connection = connection::acquire(self.core.pool())
                    .await
                    .map_err(|error| self.core.explained(OPERATION, error))?;
                // In one message: a pooler may give the next one another session.
                let brief = <D as OperationsDialect>::EXPRESSIONS.brief_locks;
                let ran = D::run(&mut connection, format!("{brief};\n{statement}")).await;
                // Its settings are not those of the pool.
                connection.close();
                let Err(error) = ran else { return Ok(()) };
                let fault = self.core.fault_of(&error);
                if fault.kind != FaultKind::Passing || tries == MAX_TRIES {
                    return Err(fault.of(OPERATION, error));
                }
                sleep(PAUSE).await;
            }
        }
    }
}
