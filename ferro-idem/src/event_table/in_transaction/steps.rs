//! The steps of a transaction. What differs between databases is beside their statements.

use std::future::ready;

use super::connection::{Answer, Connection, RequestError};
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};

/// The statements for one table at one schema level.
pub(crate) struct Compiled<S> {
    pub(crate) level: SchemaLevel,
    /// See [`Traps`](crate::event_table::columns::Traps).
    pub(crate) verifies: bool,
    pub(crate) statements: S,
}

impl<S> Compiled<S> {
    #[cfg(feature = "inbox")]
    pub(crate) fn statements(&self) -> &S {
        &self.statements
    }
}

/// The statements of a database for the steps of a transaction.
pub trait TransactionSteps: Send + Sync + 'static {
    /// Marks an event, without waiting for another transaction that has it.
    fn mark_in<C: Connection>(&self, connection: &mut C, mark: &Mark) -> impl Answer<MarkedIn, C::Error>;

    /// The state of an event; [`EventState::Free`] without a row.
    fn look<C: Connection>(&self, connection: &mut C, id: &str) -> impl Answer<EventState, C::Error>;

    /// Called after [`look`](Self::look) has found a processed event: waits until a failover keeps what was found. A
    /// database that makes only commits wait for its standby ends the transaction here, and begins another one.
    fn outlast_failover<C: Connection>(&self, connection: &mut C) -> impl Answer<(), C::Error> {
        let _ = connection;
        ready(Ok(()))
    }

    /// Makes a claim that is released, or whose lease has run out, processed by this transaction.
    fn take_over<C: Connection>(&self, connection: &mut C, mark: &Mark) -> impl Answer<bool, C::Error>;

    /// Where the mark is that this transaction made. A body can end its transaction by a statement of its own, or by
    /// one that commits by itself.
    fn own_mark<C: Connection>(&self, connection: &mut C, mark: &Mark) -> impl Answer<OwnMark, C::Error>;

    /// Deletes a mark that was committed too early. It is outside of a transaction.
    fn unmark_one<C: Connection>(&self, connection: &mut C, mark: &Mark) -> impl Answer<(), C::Error>;

    /// Releases an event that a transaction took over and committed too early.
    fn give_back<C: Connection>(&self, connection: &mut C, mark: &Mark) -> impl Answer<(), C::Error>;
}

/// Whether a mark made its event's row. `is_own` is what a second look at that row says. An event without a row is
/// neither new nor a duplicate.
pub(crate) fn proved<E: RequestError>(
    is_own: Option<bool>,
    level: SchemaLevel,
    is_marked: bool,
) -> Result<bool, E> {
    match is_own {
        None => Err(E::row_not_found()),
        // The rows of a plain table do not tell who made them.
        Some(_) if level == SchemaLevel::Plain => Ok(is_marked),
        Some(false) if is_marked => Err(E::row_changed()),
        Some(is_own) => Ok(is_own),
    }
}
