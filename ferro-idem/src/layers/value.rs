//! Parameters of statements, and values of rows.

use super::error::{LayerError, Meaning};

/// A parameter of a statement.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug)]
pub enum Parameter<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Uuid([u8; 16]),
    /// An array with one element.
    TextArray(&'a str),
    UuidArray([u8; 16]),
}

/// The type of a column.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    Int,
    Text,
    Bytes,
    Uuid,
    TextArray,
}

/// A value of a column.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    /// Also a UUID.
    Bytes(Vec<u8>),
    TextArray(Vec<String>),
}

#[cfg(any(feature = "sea-orm", feature = "tokio-postgres"))]
impl Value {
    /// NULL for `None`.
    pub(super) fn of<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, of)
    }
}

/// The values of a row, which are taken out in the order of the columns.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    pub(super) fn bool(&mut self) -> Result<bool, LayerError> {
        match self.0.next() {
            Some(Value::Bool(value)) => Ok(value),
            // SQLite and MySQL have numbers for it.
            Some(Value::Int(value)) => Ok(value != 0),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(super) fn int(&mut self) -> Result<i64, LayerError> {
        self.optional_int()?.ok_or_else(|| wrong_value(None))
    }

    pub(super) fn optional_int(&mut self) -> Result<Option<i64>, LayerError> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, LayerError> {
        self.optional_text()?.ok_or_else(|| wrong_value(None))
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, LayerError> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, LayerError> {
        match self.0.next() {
            Some(Value::Bytes(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, LayerError> {
        match self.0.next() {
            Some(Value::TextArray(value)) => Ok(value),
            other => Err(wrong_value(other.as_ref())),
        }
    }
}

/// The row of an answer that has one.
pub(super) fn first(rows: Vec<Row>) -> Result<Row, LayerError> {
    rows.into_iter()
        .next()
        .ok_or_else(|| LayerError::new(Meaning::Other, "the database answered without a row"))
}

/// An answer that does not fit its statement.
fn wrong_value(value: Option<&Value>) -> LayerError {
    LayerError::new(
        Meaning::Other,
        format!("the database answered {value:?}, which does not fit the statement"),
    )
}
