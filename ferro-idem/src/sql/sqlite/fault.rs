//! The codes of sqlx's errors.

use sqlx::error::DatabaseError;

use crate::event_table::fault::Fault;
use crate::event_table::name::TableName;
use crate::event_table::sqlite::fault;

pub(super) fn explain(refusal: &dyn DatabaseError, table: &TableName) -> Fault {
    fault::explain(&refusal.code().unwrap_or_default(), table)
}
