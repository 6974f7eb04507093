//! What a driver has to do for a transaction.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::{Future, ready};
use std::sync::Arc;

use super::value::{Kind, Parameter, Row, WrongValue};
use crate::event_table::fault::RefusedCommit;

/// A connection with an open transaction.
#[allow(missing_docs)]
pub trait Connection: Send {
    type Error: RequestError;

    /// Runs statements without parameters, in one message.
    fn run(&mut self, statements: &str) -> impl Answer<(), Self::Error>;

    /// Runs one statement, and returns how many rows it affected.
    fn execute(
        &mut self,
        statement: Statement<'_>,
        parameters: &[Parameter<'_>],
    ) -> impl Answer<u64, Self::Error>;

    /// Runs one statement, and returns its rows. `kinds` are the types of their columns.
    fn rows(
        &mut self,
        statement: Statement<'_>,
        parameters: &[Parameter<'_>],
        kinds: &[Kind],
    ) -> impl Answer<Vec<Row>, Self::Error>;

    /// The same error with the database's code, if the driver does not tell it and the database can be asked.
    fn with_code(&mut self, error: Self::Error) -> impl Future<Output = Self::Error> + Send {
        ready(error)
    }
}

/// A connection that is taken from its pool for one transaction.
///
/// Dropped, it closes its connection, or rolls back before the connection is used again.
pub trait Session: Connection + 'static {
    /// Commits, and returns the connection to its pool.
    fn commit(self) -> impl Answer<(), Self::Error>;

    /// Rolls back, and returns the connection to its pool.
    fn roll_back(self) -> impl Answer<(), Self::Error>;

    /// Closes the connection, if the driver can, so that the pool opens another one.
    fn close(self);
}

/// The future of a request.
pub trait Answer<T, E>: Future<Output = Result<T, E>> + Send {}

impl<T, E, F: Future<Output = Result<T, E>> + Send> Answer<T, E> for F {}

/// The text of one statement.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'s> {
    text: Text<'s>,
    /// Whether the server keeps its plan.
    is_kept: bool,
}

#[derive(Clone, Copy, Debug)]
enum Text<'s> {
    Shared(&'s Arc<str>),
    Borrowed(&'s str),
}

impl<'s> Statement<'s> {
    /// A statement that the server keeps, if `is_kept`.
    pub(crate) fn shared(text: &'s Arc<str>, is_kept: bool) -> Self {
        Self { text: Text::Shared(text), is_kept }
    }

    /// A statement that the server plans anew each time.
    pub(crate) fn planned_anew(text: &'s Arc<str>) -> Self {
        Self::shared(text, false)
    }

    pub(crate) fn as_str(&self) -> &'s str {
        match self.text {
            Text::Shared(text) => text,
            Text::Borrowed(text) => text,
        }
    }

    /// The text, to be sent by a driver that needs its own. A shared one is not copied.
    pub(crate) fn to_shared(self) -> Arc<str> {
        match self.text {
            Text::Shared(text) => Arc::clone(text),
            Text::Borrowed(text) => text.into(),
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }
}

/// A statement that the server keeps.
impl<'s> From<&'s Arc<str>> for Statement<'s> {
    fn from(text: &'s Arc<str>) -> Self {
        Self::shared(text, true)
    }
}

/// A statement that the server keeps.
impl<'s> From<&'s str> for Statement<'s> {
    fn from(text: &'s str) -> Self {
        Self { text: Text::Borrowed(text), is_kept: true }
    }
}

/// An error of a driver.
#[allow(missing_docs)]
pub trait RequestError: From<WrongValue> + Send {
    /// The event is neither new nor there.
    fn row_not_found() -> Self;

    /// An insert went through, and the row has another owner.
    fn row_changed() -> Self;

    fn is_row_not_found(&self) -> bool;

    /// The SQLSTATE, or the number of MySQL or SQLite, if the database refused the statement. Empty if the driver does
    /// not tell it.
    fn code(&self) -> Option<Cow<'_, str>>;

    /// What may be told of a refused commit. `None` if the database did not refuse it.
    fn refused_commit(&self) -> Option<RefusedCommit>;

    fn into_source(self) -> Box<dyn StdError + Send + Sync>;
}
