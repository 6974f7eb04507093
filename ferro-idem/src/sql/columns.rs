//! What the catalogue says of a table's columns.

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
    pub(super) name: String,
    /// Whether the column, as `event_id`, keeps ids of up to 255 bytes unchanged and tells them apart.
    pub(super) byte_exact: bool,
    /// Whether the table holds each value once. Also `true` if the database refuses the mark's statement on
    /// a table that does not.
    pub(super) unique: bool,
    /// Whether writes to the table are rolled back with their transaction.
    pub(super) rolls_back: bool,
}
