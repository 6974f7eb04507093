//! Finds what is wrong with a table before the first delivery does.

use super::columns::SchemaLevel;
use super::connection;
use super::core::Core;
use super::dialect::Dialect;
use super::pooler::Pinned;
use super::table_check;
use crate::error::Error;

const CHECK: &str = "check the table of processed events";

/// One statement for each right that a log needs. They change nothing. Only claims need the last one. They name the
/// key, because MySQL's `sql_safe_updates` refuses a DELETE and an UPDATE that do not.
const RIGHTS: [&str; 4] = [
    "SELECT event_id FROM stripe_processed_events WHERE 1 = 0",
    "INSERT INTO stripe_processed_events (event_id, event_type)
     SELECT event_id, event_type FROM stripe_processed_events WHERE 1 = 0",
    "DELETE FROM stripe_processed_events WHERE event_id = '' AND 1 = 0",
    "UPDATE stripe_processed_events SET event_type = event_type
     WHERE event_id = '' AND 1 = 0",
];

impl<D: Dialect> Core<D> {
    /// Finds everything that is wrong with the table at once.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let (found, traps) = self.look_at_table().await?;
        let mut problems = traps.refusals;
        let mut rights: &[&str] = &[];
        match table_check::schema_level_of(D::TABLE, self.table(), &found) {
            Ok(SchemaLevel::Plain) => rights = RIGHTS.split_last().map_or(&[], |(_, others)| others),
            Ok(SchemaLevel::Full) => rights = &RIGHTS,
            Err(Error::Store { advice, .. }) => problems.push(advice.into_owned()),
            Err(other) => return Err(other),
        }
        problems.extend(traps.weaknesses);
        problems.extend(self.columns_to_fill().await?);
        for statement in rights {
            let mut connection =
                connection::acquire(self.pool()).await.map_err(|error| self.explained(CHECK, error))?;
            let ran = D::run(&mut connection, self.table().in_statement(statement)).await;
            connection.answered_with(&ran);
            if let Err(error) = ran {
                let mut advice = self.fault_of(&error).advice.into_owned();
                if let Some(refusal) = error.as_database_error() {
                    advice = format!("{advice} ({})", refusal.message());
                }
                if !problems.contains(&advice) {
                    problems.push(advice);
                }
            }
        }
        table_check::refuse(&problems)
    }

    /// What is wrong if an insert has to fill columns that no log knows.
    async fn columns_to_fill(&self) -> Result<Option<String>, Error> {
        let explained = |error| self.explained(CHECK, error);
        let mut connection = connection::acquire(self.pool()).await.map_err(explained)?;
        let mut pinned = Pinned::begin(&mut connection, self.has_pooler()).await.map_err(explained)?;
        let found = D::columns_without_default(pinned.connection(), self.table()).await;
        let columns = pinned.end(found).await.map_err(explained)?;
        let names: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
        Ok((!names.is_empty()).then(|| {
            format!(
                "no event can be marked, because these columns of the table `{}` are NOT NULL and have no default: {}. \
                 Give each a DEFAULT, or let it be NULL",
                self.table(),
                names.join(", ")
            )
        }))
    }
}
