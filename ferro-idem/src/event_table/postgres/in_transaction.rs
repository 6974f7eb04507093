//! The steps of a transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::statements::Statements;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::in_transaction::connection::{Connection, Statement};
use crate::event_table::in_transaction::steps::{TransactionSteps, proved};
use crate::event_table::in_transaction::value::{Kind, Parameter, first};

impl Statements {
    fn kept<'s>(&self, text: &'s Arc<str>) -> Statement<'s> {
        Statement::shared(text, self.persists)
    }

    /// Looks the row up that a mark's statement spoke of, if the table may keep it out or change it.
    async fn verified<C: Connection>(
        &self,
        connection: &mut C,
        mark: &Mark,
        is_marked: bool,
    ) -> Result<bool, C::Error> {
        if !self.verifies {
            return Ok(is_marked);
        }
        let id = [Parameter::TextArray(&mark.id)];
        let owners = Statement::planned_anew(&self.owners);
        let rows = connection.rows(owners, &id, &[Kind::Text, Kind::Uuid]).await?;
        let is_own = match rows.into_iter().next() {
            Some(mut row) => {
                row.text()?;
                // The rows of a plain table have no owner.
                Some(row.optional_bytes()?.map_or(is_marked, |owner| owner == mark.owner.as_bytes()))
            }
            None => None,
        };
        proved(is_own, SchemaLevel::Full, is_marked)
    }
}

impl TransactionSteps for Statements {
    async fn mark_in<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<MarkedIn, C::Error> {
        let values = [Parameter::Text(&mark.id), Parameter::Text(&mark.event_type), owner(mark)];
        let marked = connection.rows(self.kept(&self.mark_in), &values, &[Kind::Bool; 2]).await?;
        let mut marked = first(marked)?;
        let (is_granted, is_first) = (marked.bool()?, marked.bool()?);
        if !is_granted {
            return Ok(MarkedIn::Locked);
        }
        let is_first = self.verified(connection, mark, is_first).await?;
        // The lock is the transaction's, and ends with it.
        Ok(if is_first { MarkedIn::Marked(None) } else { MarkedIn::RowExists(None) })
    }

    async fn look<C: Connection>(&self, connection: &mut C, id: &str) -> Result<EventState, C::Error> {
        let kinds = [Kind::Text, Kind::Int, Kind::Int, Kind::Bool];
        let look = Statement::planned_anew(&self.look);
        let rows = connection.rows(look, &[Parameter::TextArray(id)], &kinds).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(EventState::Free) };
        row.text()?;
        let state = EventState::of(row.int()?, row.optional_int()?);
        self.has_standby.store(row.bool()?, Ordering::Relaxed);
        Ok(state)
    }

    async fn outlast_failover<C: Connection>(&self, connection: &mut C) -> Result<(), C::Error> {
        if self.has_standby.load(Ordering::Relaxed) {
            connection.run("COMMIT; BEGIN").await?;
        }
        Ok(())
    }

    async fn take_over<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<bool, C::Error> {
        let values = [Parameter::Text(&mark.id), owner(mark)];
        Ok(connection.execute(self.kept(&self.take_over), &values).await? == 1)
    }

    async fn own_mark<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<OwnMark, C::Error> {
        let values = [Parameter::Text(&mark.id), owner(mark)];
        let rows = connection.rows(self.kept(&self.own), &values, &[Kind::Bool]).await?;
        let is_held = rows.into_iter().next().map(|mut row| row.bool()).transpose()?;
        Ok(match is_held {
            Some(true) => OwnMark::Held,
            Some(false) => OwnMark::Committed,
            None => OwnMark::Gone,
        })
    }

    async fn unmark_one<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<(), C::Error> {
        let values = [Parameter::TextArray(&mark.id), Parameter::UuidArray(*mark.owner.as_bytes())];
        connection.execute(Statement::planned_anew(&self.unmark), &values).await.map(drop)
    }

    async fn give_back<C: Connection>(&self, connection: &mut C, mark: &Mark) -> Result<(), C::Error> {
        let values = [Parameter::Text(&mark.id), owner(mark)];
        connection.execute(self.kept(&self.give_back), &values).await.map(drop)
    }
}

fn owner(mark: &Mark) -> Parameter<'static> {
    Parameter::Uuid(*mark.owner.as_bytes())
}
