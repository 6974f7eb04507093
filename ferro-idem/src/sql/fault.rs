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
            _ => Self::unknown(database),
        }
    }
}

impl From<RowChanged> for sqlx::Error {
    fn from(changed: RowChanged) -> Self {
        Self::Decode(changed.into())
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
