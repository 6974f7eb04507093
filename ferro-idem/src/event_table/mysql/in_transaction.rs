//! The steps of a transaction.

use super::fault::{DUPLICATE_ENTRY, LOCK_WAIT_TIMEOUT, NO_SAVEPOINT};
use super::statements::Statements;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::in_transaction::connection::{Connection, RequestError, Statement};
use crate::event_table::in_transaction::steps::{TransactionSteps, proved};
use crate::event_table::in_transaction::value::{Kind, Parameter};

impl Statements {
    /// Looks the row up that a mark's statement spoke of, if the table may keep it out or change it.
    pub(crate) async fn verified<C: Connection>(
        &self,
        connection: &mut C,
        mark: &Mark,
        is_marked: bool,
    ) -> Result<bool, C::Error> {
        if !self.verifies {
            return Ok(is_marked);
        }
        let rows = connection.rows((&self.is_own).into(), &[owner(mark), id(mark)], &[Kind::Int]).await?;
        let is_own = rows.into_iter().next().map(|mut row| row.bool()).transpose()?;
        proved(is_own, self.level, is_marked)
    }
}

impl TransactionSteps for Statements {
    async fn mark_in<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<MarkedIn, C::Error> {
        let values = [id(mark), Parameter::Text(&mark.event_type), owner(mark)];
        let values = if self.level == SchemaLevel::Full { &values[..] } else { &values[..2] };
        let is_first = match connection.execute((&self.insert_in).into(), values).await {
            Ok(_) => true,
            Err(error) => match connection.with_code(error).await {
                error if is_number(&error, DUPLICATE_ENTRY) => false,
                error if is_number(&error, LOCK_WAIT_TIMEOUT) => return Ok(MarkedIn::Locked),
                error => return Err(error),
            },
        };
        let is_first = self.verified(connection, mark, is_first).await?;
        // The lock on the row is the transaction's, and ends with it.
        Ok(if is_first { MarkedIn::Marked(None) } else { MarkedIn::RowExists(None) })
    }

    async fn look<C: Connection>(&self, connection: &mut C, id: &str) -> Result<EventState, C::Error> {
        let (look, id) = (self.look.of_rows(1), [Parameter::Bytes(id.as_bytes())]);
        let rows = connection.rows((&*look).into(), &id, &[Kind::Bytes, Kind::Int, Kind::Int]).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(EventState::Free) };
        row.optional_bytes()?;
        Ok(EventState::of(row.int()?, row.optional_int()?))
    }

    async fn take_over<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<bool, C::Error> {
        let is_taken = connection.execute((&self.take_over).into(), &[owner(mark), id(mark)]).await? == 1;
        Ok(is_taken && self.verified(connection, mark, true).await?)
    }

    /// The savepoint ends with its transaction.
    async fn own_mark<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<OwnMark, C::Error> {
        match connection.run("RELEASE SAVEPOINT ferro_idem").await {
            Ok(()) => return Ok(OwnMark::Held),
            Err(error) => match connection.with_code(error).await {
                error if is_number(&error, NO_SAVEPOINT) => {}
                error => return Err(error),
            },
        }
        // If the body locked tables, no other table can be read.
        connection.run("UNLOCK TABLES").await?;
        let rows = connection.rows((&self.own).into(), &[id(mark), owner(mark)], &[Kind::Int]).await?;
        Ok(if rows.is_empty() { OwnMark::Gone } else { OwnMark::Committed })
    }

    async fn unmark_one<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<(), C::Error> {
        connection
            .execute(Statement::from(&*self.unmark.of_rows(1)), &[id(mark), owner(mark)])
            .await
            .map(drop)
    }

    async fn give_back<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<(), C::Error> {
        connection.execute((&self.give_back).into(), &[id(mark), owner(mark)]).await.map(drop)
    }
}

fn id(mark: &Mark) -> Parameter<'_> {
    Parameter::Bytes(mark.id.as_bytes())
}

fn owner(mark: &Mark) -> Parameter<'_> {
    Parameter::Bytes(mark.owner.as_bytes())
}

fn is_number(error: &impl RequestError, number: u16) -> bool {
    error.code().is_some_and(|code| code.parse() == Ok(number))
}
