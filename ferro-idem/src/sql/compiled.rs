//! Statements, written out for one table.

use super::dialect::Dialect;
pub(crate) use crate::event_table::in_transaction::steps::Compiled;

/// Those of a log.
pub(crate) type CompiledSql<D> = Compiled<<D as Dialect>::Statements>;
