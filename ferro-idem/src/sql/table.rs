//! The name of a table, safe to stand in a statement.

use std::fmt;
use std::sync::Arc;

use super::dialect::Dialect;

/// The table of the recommended schema.
const DEFAULT: &str = "stripe_processed_events";

/// Databases cut names off at 63 (PostgreSQL) or 64 (MySQL) bytes.
const LONGEST: usize = 63;

/// A table's name: a letter or `_`, then letters, digits and `_`.
///
/// Invariant: it holds no character that could end a quoted name, so it may be formatted into SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    pub(super) fn new(name: &str) -> Result<Self, InvalidTableName> {
        let mut characters = name.chars();
        let valid = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && characters.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
            && name.len() <= LONGEST;
        if valid { Ok(Self(name.to_owned())) } else { Err(InvalidTableName) }
    }

    /// A statement written for the default table, for this one. Quoted, so that a table may be
    /// called `order`.
    pub(super) fn in_statement<D: Dialect>(&self, statement: &str) -> String {
        statement.replace(DEFAULT, &format!("{}{}{}", D::QUOTE, self.0, D::QUOTE))
    }

    /// The same, in the form that sqlx prepares once for each connection.
    pub(super) fn prepared<D: Dialect>(&self, statement: &str) -> Arc<str> {
        self.in_statement::<D>(statement).into()
    }

    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TableName {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A table was given a name that is not put into SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table's name cannot be used: start with an ASCII letter or `_`, go on with letters, \
     digits and `_`, and keep to {LONGEST} bytes"
)]
pub struct InvalidTableName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_taken() {
        for name in ["events", "_events", "Stripe_2026", &"x".repeat(LONGEST)] {
            assert!(TableName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn nothing_that_could_leave_the_quotes_is_taken() {
        let too_long = "x".repeat(LONGEST + 1);
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
            assert_eq!(TableName::new(name), Err(InvalidTableName), "{name:?}");
        }
    }
}
