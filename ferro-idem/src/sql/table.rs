//! The name of a table, safe to use in a statement.

use std::fmt;
use std::sync::Arc;

/// The table of the recommended schema.
const RECOMMENDED: &str = "stripe_processed_events";

/// Databases cut longer names off: PostgreSQL at 63 bytes, MySQL at 64.
const MAX_NAME_BYTES: usize = 63;

/// The name of a table: a letter or `_`, then letters, digits and `_`.
///
/// Invariant: no character of it can end a quoted name, so it is safe to format into SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    name: String,
    /// The database's quote around names.
    quote: char,
}

impl TableName {
    /// The table of the recommended schema.
    pub(super) fn recommended(quote: char) -> Self {
        Self { name: RECOMMENDED.to_owned(), quote }
    }

    pub(super) fn new(name: &str, quote: char) -> Result<Self, InvalidTableName> {
        let mut characters = name.chars();
        let valid = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && characters.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
            && name.len() <= MAX_NAME_BYTES;
        if valid { Ok(Self { name: name.to_owned(), quote }) } else { Err(InvalidTableName) }
    }

    /// Rewrites a statement over the recommended table for this one. The name is quoted, so that a table may
    /// be called `order`.
    pub(super) fn in_statement(&self, statement: &str) -> String {
        let Self { name, quote } = self;
        statement.replace(RECOMMENDED, &format!("{quote}{name}{quote}"))
    }

    /// The name in its quotes.
    #[cfg(feature = "postgres")]
    pub(super) fn quoted(&self) -> String {
        self.in_statement(RECOMMENDED)
    }

    /// The same, as the shared text that sqlx prepares once for each connection.
    pub(super) fn prepared(&self, statement: &str) -> Arc<str> {
        self.in_statement(statement).into()
    }

    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// The name of a table cannot be used in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table's name cannot be used: start with an ASCII letter or `_`, go on with letters, \
     digits and `_`, and keep to {MAX_NAME_BYTES} bytes"
)]
pub struct InvalidTableName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_accepted() {
        for name in ["events", "_events", "Stripe_2026", &"x".repeat(MAX_NAME_BYTES)] {
            assert!(TableName::new(name, '"').is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_could_leave_the_quotes_are_rejected() {
        let too_long = "x".repeat(MAX_NAME_BYTES + 1);
        for name in [
            "",
            " ",
            "2events",
            "a b",
            "a;b",
            "a\"b",
            "a`b",
            "a'b",
            "a.b",
            "a-b",
            "a\0b",
            "täble",
            "a\nb",
            "events; DROP TABLE users; --",
            &too_long,
        ] {
            assert_eq!(TableName::new(name, '"'), Err(InvalidTableName), "{name:?}");
        }
    }
}
