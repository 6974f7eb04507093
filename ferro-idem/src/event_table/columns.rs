//! The catalogue's information about a table.

/// Which guarantees a table can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaLevel {
    /// The three columns of the recommended table: fence and transaction, without owners.
    Plain,
    /// The columns of [`Dialect::SCHEMA`](super::dialect::Dialect::SCHEMA): all guarantees.
    Full,
}

/// A column of a table.
#[derive(Debug)]
pub struct FoundColumn {
    pub(crate) name: String,
    /// Whether the column, as `event_id`, keeps ids of up to 255 bytes unchanged and tells them apart.
    pub(crate) byte_exact: bool,
    /// Whether the table holds each value once. Also `true` if the database refuses the mark's statement on
    /// a table that does not.
    pub(crate) unique: bool,
    /// Whether writes to the table are rolled back with their transaction.
    pub(crate) rolls_back: bool,
}

/// Properties of the table that can make a statement's answer misleading.
#[derive(Debug, Default)]
pub struct Traps {
    /// Triggers, rules, row-level security or other unique keys: a row that did not go in is no proof that the event
    /// exists, and a row that went in is no proof that it stays. Each answer is looked up again.
    pub(crate) verifies: bool,
    /// A pooler takes prepared statements apart.
    pub(crate) has_pooler: bool,
    /// Why no log can be kept in the table as it is, each with what fixes it.
    pub(crate) refusals: Vec<String>,
    /// Settings under which a crash loses marks, each with what fixes it. The application may want them, so only a
    /// check reports them.
    pub(crate) weaknesses: Vec<String>,
}
