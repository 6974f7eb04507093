//! The steps of a transaction.

use super::statements::Statements;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::in_transaction::connection::{Connection, RequestError};
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
        let rows = connection.rows((&self.is_own).into(), &[id(mark), owner(mark)], &[Kind::Int]).await?;
        let is_own = rows.into_iter().next().map(|mut row| row.bool()).transpose()?;
        proved(is_own, self.level, is_marked)
    }
}

impl TransactionSteps for Statements {
    /// The insert takes the write lock before anything is read, so that no later statement can fail for a stale
    /// snapshot.
    async fn mark_in<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<MarkedIn, C::Error> {
        let Some(lock) = self.in_flight.lock(&mark.id) else { return Ok(MarkedIn::Locked) };
        let values = [id(mark), Parameter::Text(&mark.event_type), owner(mark)];
        let values = if self.level == SchemaLevel::Full { &values[..] } else { &values[..2] };
        let insert = self.mark.of_rows(1);
        let marked = connection.rows((&*insert).into(), values, &[Kind::Text]).await?;
        let is_first = self.verified(connection, mark, !marked.is_empty()).await?;
        connection.run("SAVEPOINT ferro_idem").await?;
        Ok(if is_first { MarkedIn::Marked(Some(lock)) } else { MarkedIn::RowExists(Some(lock)) })
    }

    async fn look<C: Connection>(&self, connection: &mut C, id: &str) -> Result<EventState, C::Error> {
        let look = self.look.of_rows(1);
        let kinds = [Kind::Text, Kind::Int, Kind::Int];
        let rows = connection.rows((&*look).into(), &[Parameter::Text(id)], &kinds).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(EventState::Free) };
        row.text()?;
        Ok(EventState::of(row.int()?, row.optional_int()?))
    }

    async fn take_over<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<bool, C::Error> {
        Ok(connection.execute((&self.take_over).into(), &[id(mark), owner(mark)]).await? == 1)
    }

    /// The savepoint ends with its transaction.
    async fn own_mark<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<OwnMark, C::Error> {
        match connection.run("RELEASE SAVEPOINT ferro_idem").await {
            Ok(()) => return Ok(OwnMark::Held),
            // There is none.
            Err(error) if error.code().is_some() => {}
            Err(error) => return Err(error),
        }
        let values = [id(mark), owner(mark)];
        let values = if self.level == SchemaLevel::Full { &values[..] } else { &values[..1] };
        let rows = connection.rows((&self.own).into(), values, &[Kind::Int]).await?;
        Ok(if rows.is_empty() { OwnMark::Gone } else { OwnMark::Committed })
    }

    async fn unmark_one<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<(), C::Error> {
        let unmark = self.unmark.of_rows(1);
        connection.execute((&*unmark).into(), &[id(mark), owner(mark)]).await.map(drop)
    }

    async fn give_back<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<(), C::Error> {
        connection.execute((&self.give_back).into(), &[id(mark), owner(mark)]).await.map(drop)
    }
}

fn id(mark: &Mark) -> Parameter<'_> {
    Parameter::Text(&mark.id)
}

fn owner(mark: &Mark) -> Parameter<'_> {
    Parameter::Bytes(mark.owner.as_bytes())
}
