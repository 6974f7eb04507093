//! The meaning of sqlx's errors.

pub(super) use crate::event_table::fault::{Cause, Fault, RowChanged};

impl Fault {
    /// What an error means that the driver reports by itself.
    pub(super) fn of_driver(error: &sqlx::Error, database: &str) -> Self {
        match error {
            // Nothing was sent, and the pool's own time limit is over.
            sqlx::Error::PoolTimedOut => Self::permanent(
                "no connection became free in time: raise the pool's `max_connections`, or hold \
                 connections for a shorter time",
            ),
            sqlx::Error::PoolClosed => {
                Self::permanent("the pool is closed: the application is shutting down")
            }
            sqlx::Error::BeginFailed => Self::passing("the database did not begin a transaction"),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Self::unanswered(
                "the connection to the database was lost, see that the server runs and can be reached",
            ),
            sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => {
                Self::permanent("no connection can be made: check the pool's options")
            }
            sqlx::Error::TypeNotFound { .. } => Self::unreadable_time(),
            // What the dialects answer with if a row is not what its statement said.
            sqlx::Error::RowNotFound => Self::swallowed(),
            sqlx::Error::Decode(source) if source.is::<RowChanged>() => Self::swallowed(),
            // The answer is there, and is not the one that the request should have.
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnNotFound(_) => {
                Self { may_be_carried_out: true, is_about_one_event: false, ..Self::unknown(database) }
            }
            _ => Self::unknown(database),
        }
    }
}

impl From<RowChanged> for sqlx::Error {
    fn from(changed: RowChanged) -> Self {
        Self::Decode(changed.into())
    }
}

/// A statement has written, and the next one, which reads what came of it, failed.
#[derive(Debug, thiserror::Error)]
#[error("what was written could not be read")]
pub(super) struct NotRead(sqlx::Error);

impl NotRead {
    /// The error of a statement that reads what another one has written.
    pub(super) fn of(error: sqlx::Error) -> sqlx::Error {
        match error {
            // The rows were read.
            sqlx::Error::RowNotFound => error,
            sqlx::Error::Decode(source) if source.is::<RowChanged>() => sqlx::Error::Decode(source),
            error => sqlx::Error::Decode(Self(error).into()),
        }
    }

    /// The error, and whether it is one of these.
    pub(super) fn into_inner(error: sqlx::Error) -> (sqlx::Error, bool) {
        match error {
            sqlx::Error::Decode(source) => match source.downcast::<Self>() {
                Ok(not_read) => (not_read.0, true),
                Err(source) => (sqlx::Error::Decode(source), false),
            },
            error => (error, false),
        }
    }
}

/// Whether the server has answered with this error, or the rows were not those that were looked for.
pub(super) fn is_of_server(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) | sqlx::Error::RowNotFound => true,
        sqlx::Error::Decode(source) => {
            source.is::<RowChanged>()
                || source.downcast_ref::<NotRead>().is_some_and(|inner| is_of_server(&inner.0))
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
