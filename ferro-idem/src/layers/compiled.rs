//! The steps of a transaction, with the statements for one table.

use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::error::{LayerError, Meaning};
use super::layer::Session;
use super::value::{Kind, Parameter, Row, first};
use crate::event_table::columns::{SchemaLevel, Traps};
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::name::TableName;
use crate::event_table::sqlite::in_flight::{EventLock, InFlight};
use crate::event_table::{mysql, postgres, sqlite};

/// The statements for one table at one schema level.
pub(super) struct Compiled {
    pub(super) level: SchemaLevel,
    pub(super) verifies: bool,
    statements: Statements,
}

enum Statements {
    Postgres(postgres::statements::Statements),
    MySql(mysql::statements::Statements),
    Sqlite(sqlite::statements::Statements),
}

/// What keeps other transactions away from an event. The other databases' locks are the transaction's.
pub(super) type Lock = Option<EventLock>;

impl Engine {
    pub(super) fn compile(
        self,
        table: &TableName,
        level: SchemaLevel,
        traps: &Traps,
        in_flight: Option<InFlight>,
    ) -> Compiled {
        let statements = match (self, in_flight) {
            (Self::Postgres, _) => {
                Statements::Postgres(postgres::statements::Statements::new(table, level, traps))
            }
            (Self::MySql, _) => {
                Statements::MySql(mysql::statements::Statements::new(table, level, traps.verifies))
            }
            (Self::Sqlite, in_flight) => {
                let in_flight = in_flight.unwrap_or_else(|| InFlight::of("".as_ref(), ""));
                Statements::Sqlite(sqlite::statements::Statements::new(
                    table,
                    level,
                    in_flight,
                    traps.verifies,
                ))
            }
        };
        Compiled { level, verifies: traps.verifies, statements }
    }
}

fn uuid(mark: &Mark) -> Parameter<'static> {
    Parameter::Uuid(*mark.owner.as_bytes())
}

impl Compiled {
    /// Marks an event inside a transaction, without waiting for another transaction that has it.
    pub(super) async fn mark_in<S: Session>(
        &self,
        session: &mut S,
        mark: &Mark,
    ) -> Result<MarkedIn<Lock>, LayerError> {
        let (id, event_type) = (&*mark.id, Parameter::Text(&mark.event_type));
        let (lock, is_first) = match &self.statements {
            Statements::Postgres(statements) => {
                let key = postgres::lock_key(id);
                let entered =
                    session.rows(&statements.enter, &[Parameter::Text(&key)], &[Kind::Bool]).await?;
                if !first(entered)?.bool()? {
                    return Ok(MarkedIn::Locked);
                }
                let values = [Parameter::Text(id), event_type, uuid(mark)];
                (None, session.execute(&statements.mark_in, &values).await? == 1)
            }
            Statements::MySql(statements) => {
                let values =
                    [Parameter::Bytes(id.as_bytes()), event_type, Parameter::Bytes(mark.owner.as_bytes())];
                let values = if self.level == SchemaLevel::Full { &values[..] } else { &values[..2] };
                match session.execute(&statements.insert_in, values).await {
                    Ok(_) => (None, true),
                    Err(error) => match with_number(session, error).await {
                        error if is_number(&error, mysql::fault::DUPLICATE_ENTRY) => (None, false),
                        error if is_number(&error, mysql::fault::LOCK_WAIT_TIMEOUT) => {
                            return Ok(MarkedIn::Locked);
                        }
                        error => return Err(error),
                    },
                }
            }
            Statements::Sqlite(statements) => {
                let Some(lock) = statements.in_flight.lock(id) else { return Ok(MarkedIn::Locked) };
                let values = [Parameter::Text(id), event_type, Parameter::Bytes(mark.owner.as_bytes())];
                let values = if self.level == SchemaLevel::Full { &values[..] } else { &values[..2] };
                let marked = session.rows(&statements.mark.of_rows(1), values, &[Kind::Text]).await?;
                (Some(lock), !marked.is_empty())
            }
        };
        let is_first = self.verified(session, mark, is_first).await?;
        if matches!(self.statements, Statements::Sqlite(_)) {
            session.run("SAVEPOINT ferro_idem").await?;
        }
        Ok(if is_first { MarkedIn::Marked(lock) } else { MarkedIn::RowExists(lock) })
    }

    /// Looks the row up that a mark's statement spoke of, if the table may keep it out or change it. An event without a
    /// row is neither new nor a duplicate.
    async fn verified<S: Session>(
        &self,
        session: &mut S,
        mark: &Mark,
        is_marked: bool,
    ) -> Result<bool, LayerError> {
        if !self.verifies {
            return Ok(is_marked);
        }
        let (id, owner) = (&*mark.id, mark.owner.as_bytes());
        let is_own = match &self.statements {
            Statements::Postgres(statements) => {
                let kinds = [Kind::Text, Kind::Uuid];
                let rows = session.rows(&statements.owners, &[Parameter::TextArray(id)], &kinds).await?;
                match rows.into_iter().next() {
                    Some(mut row) => {
                        row.text()?;
                        // The rows of a plain table do not tell who made them.
                        Some(row.optional_bytes()?.map_or(is_marked, |stored| stored == owner))
                    }
                    None => None,
                }
            }
            Statements::MySql(statements) => {
                let values = [Parameter::Bytes(owner), Parameter::Bytes(id.as_bytes())];
                own(session.rows(&statements.is_own, &values, &[Kind::Int]).await?)?
            }
            Statements::Sqlite(statements) => {
                let values = [Parameter::Text(id), Parameter::Bytes(owner)];
                own(session.rows(&statements.is_own, &values, &[Kind::Int]).await?)?
            }
        };
        match is_own {
            None => Err(LayerError::row_not_found()),
            Some(_) if self.level == SchemaLevel::Plain => Ok(is_marked),
            Some(false) if is_marked => {
                Err(LayerError::new(Meaning::RowChanged, "the row that was inserted has another owner"))
            }
            Some(is_own) => Ok(is_own),
        }
    }

    /// The state of an event; [`EventState::Free`] without a row.
    pub(super) async fn look<S: Session>(&self, session: &mut S, id: &str) -> Result<EventState, LayerError> {
        use Kind::{Bool, Bytes, Int, Text};
        let rows = match &self.statements {
            Statements::Postgres(statements) => {
                session.rows(&statements.look, &[Parameter::TextArray(id)], &[Text, Int, Int, Bool]).await?
            }
            Statements::MySql(statements) => {
                let values = [Parameter::Bytes(id.as_bytes())];
                session.rows(&statements.look.of_rows(1), &values, &[Bytes, Int, Int]).await?
            }
            Statements::Sqlite(statements) => {
                session.rows(&statements.look.of_rows(1), &[Parameter::Text(id)], &[Text, Int, Int]).await?
            }
        };
        let Some(mut row) = rows.into_iter().next() else { return Ok(EventState::Free) };
        match &self.statements {
            Statements::MySql(_) => drop(row.optional_bytes()?),
            Statements::Postgres(_) | Statements::Sqlite(_) => drop(row.text()?),
        }
        let state = EventState::of(row.int()?, row.optional_int()?);
        if let Statements::Postgres(statements) = &self.statements {
            statements.has_standby.store(row.bool()?, Ordering::Relaxed);
        }
        Ok(state)
    }

    /// Waits until a failover keeps the processed event that was found: ends the transaction, and begins another one.
    pub(super) async fn outlast_failover<S: Session>(&self, session: &mut S) -> Result<(), LayerError> {
        match &self.statements {
            Statements::Postgres(statements) if statements.has_standby.load(Ordering::Relaxed) => {
                session.run("COMMIT; BEGIN").await
            }
            _ => Ok(()),
        }
    }

    /// Makes a claim that is released, or whose lease has run out, processed by this transaction.
    pub(super) async fn take_over<S: Session>(
        &self,
        session: &mut S,
        mark: &Mark,
    ) -> Result<bool, LayerError> {
        let (id, owner) = (Parameter::Text(&mark.id), Parameter::Bytes(mark.owner.as_bytes()));
        match &self.statements {
            Statements::Postgres(statements) => {
                Ok(session.execute(&statements.take_over, &[id, uuid(mark)]).await? == 1)
            }
            Statements::MySql(statements) => {
                let values = [owner, Parameter::Bytes(mark.id.as_bytes())];
                let is_taken = session.execute(&statements.take_over, &values).await? == 1;
                Ok(is_taken && self.verified(session, mark, true).await?)
            }
            Statements::Sqlite(statements) => {
                Ok(session.execute(&statements.take_over, &[id, owner]).await? == 1)
            }
        }
    }

    /// Where the mark is that this transaction made.
    pub(super) async fn own_mark<S: Session>(
        &self,
        session: &mut S,
        mark: &Mark,
    ) -> Result<OwnMark, LayerError> {
        let (id, owner) = (&*mark.id, Parameter::Bytes(mark.owner.as_bytes()));
        let rows = match &self.statements {
            Statements::Postgres(statements) => {
                let values = [Parameter::Text(id), uuid(mark)];
                let rows = session.rows(&statements.own, &values, &[Kind::Bool]).await?;
                let is_held = rows.into_iter().next().map(|mut row| row.bool()).transpose()?;
                return Ok(match is_held {
                    Some(true) => OwnMark::Held,
                    Some(false) => OwnMark::Committed,
                    None => OwnMark::Gone,
                });
            }
            Statements::MySql(statements) => {
                match session.run("RELEASE SAVEPOINT ferro_idem").await {
                    Ok(()) => return Ok(OwnMark::Held),
                    Err(error) => match with_number(session, error).await {
                        error if is_number(&error, mysql::fault::NO_SAVEPOINT) => {}
                        error => return Err(error),
                    },
                }
                // If the body locked tables, no other table can be read.
                session.run("UNLOCK TABLES").await?;
                session.rows(&statements.own, &[Parameter::Bytes(id.as_bytes()), owner], &[Kind::Int]).await?
            }
            Statements::Sqlite(statements) => {
                match session.run("RELEASE SAVEPOINT ferro_idem").await {
                    Ok(()) => return Ok(OwnMark::Held),
                    // There is none.
                    Err(error) if error.code().is_some() => {}
                    Err(error) => return Err(error),
                }
                let values = [Parameter::Text(id), owner];
                let values = if self.level == SchemaLevel::Full { &values[..] } else { &values[..1] };
                session.rows(&statements.own, values, &[Kind::Int]).await?
            }
        };
        Ok(if rows.is_empty() { OwnMark::Gone } else { OwnMark::Committed })
    }

    /// Deletes a mark that was committed too early.
    pub(super) async fn unmark<S: Session>(&self, session: &mut S, mark: &Mark) -> Result<(), LayerError> {
        let owner = Parameter::Bytes(mark.owner.as_bytes());
        let deleted = match &self.statements {
            Statements::Postgres(statements) => {
                let values = [Parameter::TextArray(&mark.id), Parameter::UuidArray(*mark.owner.as_bytes())];
                session.execute(&statements.unmark, &values).await
            }
            Statements::MySql(statements) => {
                let values = [Parameter::Bytes(mark.id.as_bytes()), owner];
                // A driver may send bytes as text, which a derived table would not keep as they are.
                let unmark = statements.unmark.of_rows(1).replace("? AS", "CAST(? AS BINARY) AS");
                session.execute(&unmark, &values).await
            }
            Statements::Sqlite(statements) => {
                session.execute(&statements.unmark.of_rows(1), &[Parameter::Text(&mark.id), owner]).await
            }
        };
        deleted.map(drop)
    }

    /// Releases an event that a transaction took over and committed too early.
    pub(super) async fn give_back<S: Session>(&self, session: &mut S, mark: &Mark) -> Result<(), LayerError> {
        let (id, owner) = (Parameter::Text(&mark.id), Parameter::Bytes(mark.owner.as_bytes()));
        let given_back = match &self.statements {
            Statements::Postgres(statements) => {
                session.execute(&statements.give_back, &[id, uuid(mark)]).await
            }
            Statements::MySql(statements) => {
                let values = [Parameter::Bytes(mark.id.as_bytes()), owner];
                session.execute(&statements.give_back, &values).await
            }
            Statements::Sqlite(statements) => session.execute(&statements.give_back, &[id, owner]).await,
        };
        given_back.map(drop)
    }
}

/// Of a row that says whether it is the mark's own.
fn own(rows: Vec<Row>) -> Result<Option<bool>, LayerError> {
    rows.into_iter().next().map(|mut row| row.bool()).transpose()
}

fn is_number(error: &LayerError, number: u16) -> bool {
    error.code().is_some_and(|code| code.parse() == Ok(number))
}

/// The number of an error of MySQL, from the server if the layer does not tell it.
async fn with_number<S: Session>(session: &mut S, error: LayerError) -> LayerError {
    if error.code() != Some("") {
        return error;
    }
    let number = async {
        session.run("GET DIAGNOSTICS CONDITION 1 @ferro_idem_number = MYSQL_ERRNO").await?;
        let number = "SELECT CAST(@ferro_idem_number AS SIGNED)";
        first(session.rows(number, &[], &[Kind::Int]).await?)?.int()
    };
    match number.await {
        Ok(number) => error.with_code(number.to_string()),
        // The connection was lost.
        Err(_) => LayerError { meaning: Meaning::Lost, ..error },
    }
}
