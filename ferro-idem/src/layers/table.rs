//! The table of a layer's log, and its statements.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::Engine;
use super::error::LayerError;
use super::statements::Statements;
use crate::error::Error;
use crate::event_table::check;
use crate::event_table::columns::{FoundColumn, SchemaLevel, Traps};
use crate::event_table::fault::Fault;
use crate::event_table::in_transaction::connection::{Connection, RequestError};
use crate::event_table::in_transaction::steps::Compiled;
use crate::event_table::name::TableName;

/// A plain table is looked at again after this time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

const LOOK: &str = "look at the table's columns";

/// A table in a database.
pub(super) struct EventTable {
    pub(super) engine: Engine,
    pub(super) name: TableName,
    /// Final: an upgraded table stays one.
    full: OnceLock<Compiled<Statements>>,
    plain: OnceLock<Compiled<Statements>>,
    last_look: Mutex<Option<Instant>>,
}

impl EventTable {
    pub(super) fn new(engine: Engine, name: TableName) -> Self {
        Self { engine, name, full: OnceLock::new(), plain: OnceLock::new(), last_look: Mutex::new(None) }
    }

    /// The statements for the table as it is, or as it was a second ago. `None`: look at it.
    pub(super) fn recent(&self) -> Option<&Compiled<Statements>> {
        self.full.get().or_else(|| {
            let last_look = *self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
            self.plain.get().filter(|_| last_look.is_some_and(|at| at.elapsed() < LOOK_AGAIN_AFTER))
        })
    }

    /// The statements that were compiled for this level, if any were.
    pub(super) fn compiled(&self, level: SchemaLevel) -> Option<&Compiled<Statements>> {
        self.slot(level).get()
    }

    fn slot(&self, level: SchemaLevel) -> &OnceLock<Compiled<Statements>> {
        match level {
            SchemaLevel::Plain => &self.plain,
            SchemaLevel::Full => &self.full,
        }
    }

    /// Looks at the table as this session sees it.
    pub(super) async fn look<C: Connection<Error = LayerError>>(
        &self,
        session: &mut C,
    ) -> Result<&Compiled<Statements>, Error> {
        let looked_at = Instant::now();
        let explained = |error: LayerError| self.fault_of(&error).of(LOOK, error.into_source());
        let (found, traps) = self.engine.look_at(session, &self.name).await.map_err(explained)?;
        check::refuse(&traps.refusals)?;
        let level = check::schema_level_of(self.engine.text(), &self.name, &found)?;
        let in_flight = self.engine.in_flight(session, &self.name).await.map_err(explained)?;
        *self.last_look.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked_at);
        let compile = || self.engine.compile(&self.name, level, &traps, in_flight);
        Ok(self.slot(level).get_or_init(compile))
    }

    /// Everything that is wrong with the table.
    pub(super) async fn check<C: Connection<Error = LayerError>>(
        &self,
        session: &mut C,
    ) -> Result<(), Error> {
        let explained = |error: LayerError| self.fault_of(&error).of(LOOK, error.into_source());
        let (found, traps): (Vec<FoundColumn>, Traps) =
            self.engine.look_at(session, &self.name).await.map_err(explained)?;
        let mut problems = traps.refusals;
        match check::schema_level_of(self.engine.text(), &self.name, &found) {
            Ok(_) => {}
            Err(Error::Store { advice, .. }) => problems.push(advice.into_owned()),
            Err(other) => return Err(other),
        }
        problems.extend(traps.weaknesses);
        check::refuse(&problems)
    }

    pub(super) fn fault_of(&self, error: &LayerError) -> Fault {
        self.engine.fault_of(error, &self.name)
    }

    pub(super) fn explained(&self, operation: &'static str, error: LayerError) -> Error {
        self.fault_of(&error).of(operation, error.into_source())
    }
}
