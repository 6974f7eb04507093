//! The names of an inbox's tables, safe to use in statements.

#[cfg(any(feature = "mysql", feature = "postgres"))]
use std::sync::Arc;

use crate::sql::{InvalidTableName, TableName};

/// The table of the recommended schema. The others have its name and a suffix.
const RECOMMENDED: &str = "webhook_inbox";

/// Indexes have this before the name of their table, and a suffix.
const OF_INDEX: &str = "index_";

/// The longest suffix of an index.
const LONGEST: &str = "index__blocked";

/// The names of an inbox's tables.
#[derive(Clone, Debug)]
pub struct Names {
    table: TableName,
}

impl Names {
    /// The recommended names, in the schema of a log's table.
    pub(super) fn beside(log: &TableName) -> Self {
        // It is a valid name.
        Self { table: log.with_name(RECOMMENDED).unwrap_or_else(|_| log.clone()) }
    }

    pub(super) fn with_name(&self, name: &str) -> Result<Self, InvalidTableName> {
        // Databases cut longer names off, so that two indexes would have one name.
        self.table.with_name(&format!("x{LONGEST}{name}"))?;
        Ok(Self { table: self.table.with_name(name)? })
    }

    /// The table with this suffix.
    pub(super) fn table(&self, suffix: &str) -> TableName {
        self.table.with_suffix(suffix)
    }

    /// Rewrites a statement over the recommended tables for these. Names are quoted, and tables are named with their
    /// schema. Indexes are in the schema of their table.
    pub(super) fn in_statement(&self, statement: &str) -> String {
        let mut written = String::with_capacity(statement.len());
        let mut rest = statement;
        while let Some((before, after)) = rest.split_once(RECOMMENDED) {
            let end = after.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(after.len());
            let (suffix, after) = after.split_at_checked(end).unwrap_or((after, ""));
            let name = self.table.with_suffix(suffix);
            if let Some(before) = before.strip_suffix(OF_INDEX) {
                written.push_str(before);
                written.push_str(&name.quoted_alone(OF_INDEX));
            } else {
                written.push_str(before);
                written.push_str(&name.quoted());
            }
            rest = after;
        }
        written.push_str(rest);
        written
    }

    /// The same, as the shared text that sqlx prepares once for each connection.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(super) fn prepared(&self, statement: &str) -> Arc<str> {
        self.in_statement(statement).into()
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sqlx::SqlitePool;

    use super::*;
    use crate::SqliteLog;

    fn names() -> Names {
        let pool = SqlitePool::connect_lazy("sqlite::memory:").unwrap();
        Names::beside(SqliteLog::new(pool).table_name())
    }

    #[tokio::test]
    async fn every_table_and_index_has_the_name_that_was_chosen() {
        let statement =
            "CREATE INDEX index_webhook_inbox_due ON webhook_inbox (a); DELETE FROM webhook_inbox_seen";
        assert_eq!(
            names().with_name("order").unwrap().in_statement(statement),
            "CREATE INDEX \"index_order_due\" ON \"order\" (a); DELETE FROM \"order_seen\""
        );
    }

    #[tokio::test]
    async fn a_name_that_leaves_no_room_for_its_suffixes_is_refused() {
        assert!(names().with_name(&"x".repeat(48)).is_ok());
        assert!(names().with_name(&"x".repeat(49)).is_err());
        assert!(names().with_name("a\"b").is_err());
    }
}
