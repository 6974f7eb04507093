//! Parameters of statements, and values of rows.

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
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    /// Also a UUID.
    Bytes(Vec<u8>),
    TextArray(Vec<String>),
}

impl Value {
    /// NULL for `None`.
    pub(crate) fn of<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, of)
    }
}

/// The values of a row, which are taken out in the order of the columns.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    pub(crate) fn bool(&mut self) -> Result<bool, WrongValue> {
        match self.0.next() {
            Some(Value::Bool(value)) => Ok(value),
            // SQLite and MySQL have numbers for it.
            Some(Value::Int(value)) => Ok(value != 0),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64, WrongValue> {
        self.optional_int()?.ok_or_else(|| wrong_value(None))
    }

    pub(crate) fn optional_int(&mut self) -> Result<Option<i64>, WrongValue> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, WrongValue> {
        self.optional_text()?.ok_or_else(|| wrong_value(None))
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, WrongValue> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, WrongValue> {
        match self.0.next() {
            Some(Value::Bytes(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong_value(other.as_ref())),
        }
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, WrongValue> {
        match self.0.next() {
            Some(Value::TextArray(value)) => Ok(value),
            other => Err(wrong_value(other.as_ref())),
        }
    }
}

/// The row of an answer that has one.
pub(crate) fn first(rows: Vec<Row>) -> Result<Row, WrongValue> {
    rows.into_iter().next().ok_or_else(|| WrongValue("no row".to_owned()))
}

/// An answer that does not fit its statement.
#[derive(Debug, thiserror::Error)]
#[error("the database answered {0}, which does not fit the statement")]
pub struct WrongValue(String);

fn wrong_value(value: Option<&Value>) -> WrongValue {
    WrongValue(value.map_or_else(|| "without a value".to_owned(), |value| format!("{value:?}")))
}
