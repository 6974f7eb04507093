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
    /// The schema that it is in. `None`: where the connection looks by default.
    schema: Option<String>,
    name: String,
    /// The database's quote around names.
    quote: char,
}

impl TableName {
    /// The table of the recommended schema.
    pub(crate) fn recommended(quote: char) -> Self {
        Self { schema: None, name: RECOMMENDED.to_owned(), quote }
    }

    /// Another table in the same schema.
    pub(crate) fn with_name(&self, name: &str) -> Result<Self, InvalidTableName> {
        Ok(Self { name: valid(name)?, ..self.clone() })
    }

    /// The table of this name in another schema.
    pub(crate) fn with_schema(&self, schema: &str) -> Result<Self, InvalidTableName> {
        Ok(Self { schema: Some(valid(schema)?), ..self.clone() })
    }

    /// Rewrites a statement over the recommended table for this one. The name is quoted, so that a table may
    /// be called `order`.
    pub(crate) fn in_statement(&self, statement: &str) -> String {
        let Self { schema, name, quote } = self;
        let schema = schema.as_ref().map(|schema| format!("{quote}{schema}{quote}.")).unwrap_or_default();
        statement.replace(RECOMMENDED, &format!("{schema}{quote}{name}{quote}"))
    }

    /// The name of another table beside it, in its quotes: this name with a suffix.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        Self { name: format!("{}{suffix}", self.name), ..self.clone() }
    }

    /// The name after this prefix, in its quotes and without its schema.
    pub(crate) fn quoted_alone(&self, prefix: &str) -> String {
        let Self { name, quote, .. } = self;
        format!("{quote}{prefix}{name}{quote}")
    }

    /// The name in its quotes.
    pub(crate) fn quoted(&self) -> String {
        self.in_statement(RECOMMENDED)
    }

    /// The same, as the shared text that sqlx prepares once for each connection.
    pub(crate) fn prepared(&self, statement: &str) -> Arc<str> {
        self.in_statement(statement).into()
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{schema}.")?;
        }
        formatter.write_str(&self.name)
    }
}

fn valid(name: &str) -> Result<String, InvalidTableName> {
    let mut characters = name.chars();
    let is_valid = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
        && name.len() <= MAX_NAME_BYTES;
    if is_valid { Ok(name.to_owned()) } else { Err(InvalidTableName) }
}

/// The name of a table, or of its schema, cannot be used in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table's name cannot be used: start with an ASCII letter or `_`, go on with letters, \
     digits and `_`, and keep to {MAX_NAME_BYTES} bytes (`with_schema` names its schema)"
)]
pub struct InvalidTableName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_accepted() {
        for name in ["events", "_events", "Stripe_2026", &"x".repeat(MAX_NAME_BYTES)] {
            assert!(TableName::recommended('"').with_name(name).is_ok(), "{name}");
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
            assert_eq!(TableName::recommended('"').with_name(name), Err(InvalidTableName), "{name:?}");
            assert_eq!(TableName::recommended('"').with_schema(name), Err(InvalidTableName), "{name:?}");
        }
    }

    #[test]
    fn a_schema_is_quoted_by_itself() {
        let table = TableName::recommended('"').with_schema("billing").unwrap().with_name("events").unwrap();
        assert_eq!(table.in_statement("SELECT stripe_processed_events"), "SELECT \"billing\".\"events\"");
        assert_eq!(table.to_string(), "billing.events");
    }
}
