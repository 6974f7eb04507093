//! The codes of sqlx's errors.

use sqlx::error::DatabaseError;

use crate::event_table::fault::Fault;
use crate::event_table::name::TableName;
use crate::event_table::postgres::fault::{self, TOO_LATE};

pub(super) fn explain(refusal: &dyn DatabaseError, table: &TableName) -> Fault {
    fault::explain(&refusal.code().unwrap_or_default(), refusal.message(), table)
}

/// Whether the statement's deadline on the server's clock had passed, so that it changed nothing.
pub(super) fn is_too_late(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|refusal| refusal.code().as_deref() == Some(TOO_LATE))
}
