//! The numbers of sqlx's errors.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::event_table::fault::Fault;
#[cfg(feature = "inbox")]
use crate::event_table::mysql::fault::LOCK_WAIT_TIMEOUT;
use crate::event_table::mysql::fault::{self, DUPLICATE_ENTRY, NO_SAVEPOINT, TOO_LATE};
use crate::event_table::name::TableName;

pub(super) fn explain(refusal: &dyn DatabaseError, table: &TableName) -> Fault {
    fault::explain(number(refusal), table)
}

/// Whether the row is there already.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    number_of(error) == Some(DUPLICATE_ENTRY)
}

/// Whether the whole transaction is gone, so that another one wins.
#[cfg(feature = "inbox")]
pub(crate) fn is_deadlock(error: &sqlx::Error) -> bool {
    matches!(number_of(error), Some(1213 | 1020))
}

/// Whether there is no savepoint of this name: its transaction has ended.
pub(crate) fn has_no_savepoint(error: &sqlx::Error) -> bool {
    number_of(error) == Some(NO_SAVEPOINT)
}

/// Whether another transaction has the row.
#[cfg(feature = "inbox")]
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    number_of(error) == Some(LOCK_WAIT_TIMEOUT)
}

/// Whether the statement's deadline on the server's clock had passed, so that it changed nothing.
pub(crate) fn is_too_late(error: &sqlx::Error) -> bool {
    number_of(error) == Some(TOO_LATE)
}

fn number_of(error: &sqlx::Error) -> Option<u16> {
    number(error.as_database_error()?)
}

/// The number of a refusal, if it is one of this database.
pub(crate) fn number(refusal: &dyn DatabaseError) -> Option<u16> {
    refusal.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}
