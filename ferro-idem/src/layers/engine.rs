//! The databases, whatever the layer.

use super::error::{LayerError, Meaning};
use crate::event_table::check::TableText;
use crate::event_table::fault::Fault;
use crate::event_table::name::TableName;
use crate::event_table::{mysql, postgres, sqlite};

/// A database.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MySql,
    Sqlite,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }

    pub(super) fn text(self) -> &'static TableText {
        match self {
            Self::Postgres => &postgres::TEXT,
            Self::MySql => &mysql::TEXT,
            Self::Sqlite => &sqlite::TEXT,
        }
    }

    pub(super) fn quote(self) -> char {
        match self {
            Self::Postgres => postgres::QUOTE,
            Self::MySql => mysql::QUOTE,
            Self::Sqlite => sqlite::QUOTE,
        }
    }

    /// What a transaction begins with, in one message.
    pub(super) fn begin(self) -> &'static str {
        if self == Self::MySql { mysql::BEGIN } else { "BEGIN" }
    }

    pub(super) fn fault_of(self, error: &LayerError, table: &TableName) -> Fault {
        let Meaning::Refused(refusal) = &error.meaning else { return error.fault(self.name()) };
        match self {
            _ if refusal.code.is_empty() => error.fault(self.name()),
            Self::Postgres => postgres::fault::explain(&refusal.code, &refusal.message, table),
            Self::MySql => mysql::fault::explain(refusal.code.parse().ok(), table),
            Self::Sqlite => sqlite::fault::explain(&refusal.code, table),
        }
    }
}
