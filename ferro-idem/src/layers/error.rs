//! Errors of the layers, before their meaning is known.

use std::error::Error as StdError;

use crate::error::Error;
use crate::event_table::fault::{Fault, RefusedCommit};
use crate::retry::FaultKind;

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

    pub(super) fn row_not_found() -> Self {
        Self::new(Meaning::RowNotFound, "the event's row is not there")
    }

    /// The code, if the database refused the statement.
    pub(super) fn code(&self) -> Option<&str> {
        match &self.meaning {
            Meaning::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// The same with a code that the layer did not tell.
    pub(super) fn with_code(mut self, code: String) -> Self {
        if let Meaning::Refused(refusal) = &mut self.meaning {
            refusal.code = code;
        }
        self
    }

    pub(super) fn is_row_not_found(&self) -> bool {
        matches!(self.meaning, Meaning::RowNotFound)
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

    /// The error that the caller of a refused commit gets. It quotes no values that the body wrote.
    pub(super) fn of_commit(self, fault: Fault, operation: &'static str) -> Error {
        let is_of_values = fault.is_about_one_event && fault.kind == FaultKind::Permanent;
        let fault = if is_of_values { Fault::refused_effects() } else { fault };
        match self.meaning {
            Meaning::Refused(Refusal { code, constraint, .. }) => {
                let by =
                    constraint.map(|(name, table)| format!(", by `{name}` of `{table}`")).unwrap_or_default();
                fault.of(operation, RefusedCommit { code, by })
            }
            _ => fault.of(operation, self.source),
        }
    }
}
