//! Errors of the layers, before their meaning is known.

use std::borrow::Cow;
use std::error::Error as StdError;

use crate::event_table::fault::{Fault, RefusedCommit, RowChanged};
use crate::event_table::in_transaction::connection::RequestError;
use crate::event_table::in_transaction::value::WrongValue;

/// An error of a layer.
#[derive(Debug)]
pub struct LayerError {
    pub(super) meaning: Meaning,
    pub(super) source: Box<dyn StdError + Send + Sync>,
}

/// What a layer tells about an error.
#[derive(Debug)]
pub(super) enum Meaning {
    /// The database refused the statement.
    Refused(Refusal),
    /// The connection was lost, so that the statement may have been carried out.
    Lost,
    /// There was no connection, so nothing was sent.
    NoConnection,
    /// No connection can be made until somebody changes the options, or the pool is closed.
    CannotConnect,
    /// The event is neither new nor there.
    RowNotFound,
    /// An insert went through, and the row has another owner.
    RowChanged,
    /// The layer cannot read what the database sent, or something else.
    Other,
}

/// A database's refusal.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// The SQLSTATE, or the number of MySQL or SQLite. Empty if the layer does not tell it.
    pub(super) code: String,
    pub(super) message: String,
    /// The constraint and its table, if the layer tells them.
    pub(super) constraint: Option<(String, String)>,
}

impl LayerError {
    pub(super) fn new(meaning: Meaning, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { meaning, source: source.into() }
    }

    /// The same with a code that the layer did not tell.
    pub(super) fn with_code(mut self, code: String) -> Self {
        if let Meaning::Refused(refusal) = &mut self.meaning {
            refusal.code = code;
        }
        self
    }

    /// What the error means, if no code says more.
    pub(super) fn fault(&self, database: &str) -> Fault {
        match &self.meaning {
            Meaning::Lost => Fault::unanswered(
                "the connection to the database was lost, see that the server runs and can be reached",
            ),
            Meaning::NoConnection => Fault::no_connection(),
            Meaning::CannotConnect => Fault::permanent(
                "no connection can be made: check the pool's options, and that the application does not use a pool that \
                 it has closed",
            ),
            Meaning::RowNotFound | Meaning::RowChanged => Fault::swallowed(),
            Meaning::Refused(_) | Meaning::Other => Fault::unknown(database),
        }
    }
}

impl RequestError for LayerError {
    fn row_not_found() -> Self {
        Self::new(Meaning::RowNotFound, "the event's row is not there")
    }

    fn row_changed() -> Self {
        Self::new(Meaning::RowChanged, RowChanged)
    }

    fn is_row_not_found(&self) -> bool {
        matches!(self.meaning, Meaning::RowNotFound)
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        match &self.meaning {
            Meaning::Refused(refusal) => Some((&*refusal.code).into()),
            _ => None,
        }
    }

    fn refused_commit(&self) -> Option<RefusedCommit> {
        let Meaning::Refused(Refusal { code, constraint, .. }) = &self.meaning else { return None };
        let by = constraint.as_ref().map(|(name, table)| (&**name, &**table));
        Some(RefusedCommit::new(code.clone(), by))
    }

    fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }
}

impl From<WrongValue> for LayerError {
    fn from(wrong: WrongValue) -> Self {
        Self::new(Meaning::Other, wrong)
    }
}
