//! Statements, written out for one table.

use super::columns::SchemaLevel;
use super::dialect::Dialect;

/// The statements for one table at one schema level.
pub(crate) struct Compiled<S> {
    pub(super) level: SchemaLevel,
    /// See [`Traps`](super::columns::Traps).
    pub(super) verifies: bool,
    pub(super) statements: S,
}

impl<S> Compiled<S> {
    #[cfg(feature = "inbox")]
    pub(crate) fn statements(&self) -> &S {
        &self.statements
    }
}

/// Those of a log.
pub(crate) type CompiledSql<D> = Compiled<<D as Dialect>::Statements>;
