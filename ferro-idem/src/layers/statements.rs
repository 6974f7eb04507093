//! The statements for one table, of whichever database the layer leads to.

use super::engine::Engine;
use crate::event_table::columns::{SchemaLevel, Traps};
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::in_transaction::connection::Connection;
use crate::event_table::in_transaction::steps::{Compiled, TransactionSteps};
use crate::event_table::name::TableName;
use crate::event_table::sqlite::in_flight::InFlight;
use crate::event_table::{mysql, postgres, sqlite};

pub(crate) enum Statements {
    Postgres(Box<postgres::statements::Statements>),
    MySql(Box<mysql::statements::Statements>),
    Sqlite(Box<sqlite::statements::Statements>),
}

impl Engine {
    pub(super) fn compile(
        self,
        table: &TableName,
        level: SchemaLevel,
        traps: &Traps,
        in_flight: Option<InFlight>,
    ) -> Compiled<Statements> {
        let verifies = traps.verifies;
        let statements = match self {
            Self::Postgres => {
                Statements::Postgres(postgres::statements::Statements::new(table, level, traps).into())
            }
            Self::MySql => {
                Statements::MySql(mysql::statements::Statements::new(table, level, verifies).into())
            }
            Self::Sqlite => {
                let in_flight = in_flight.unwrap_or_else(|| InFlight::of("".as_ref(), ""));
                let statements = sqlite::statements::Statements::new(table, level, in_flight, verifies);
                Statements::Sqlite(statements.into())
            }
        };
        Compiled { level, verifies, statements }
    }
}

/// Each step by the database's own statements.
macro_rules! steps {
    ($($step:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl TransactionSteps for Statements {
            $(
                async fn $step<C: Connection>(
                    &self,
                    connection: &mut C,
                    $($argument: $type),*
                ) -> Result<$answer, C::Error> {
                    match self {
                        Self::Postgres(statements) => statements.$step(connection, $($argument),*).await,
                        Self::MySql(statements) => statements.$step(connection, $($argument),*).await,
                        Self::Sqlite(statements) => statements.$step(connection, $($argument),*).await,
                    }
                }
            )*
        }
    };
}

steps! {
    mark_in(mark: &Mark) -> MarkedIn;
    look(id: &str) -> EventState;
    outlast_failover() -> ();
    take_over(mark: &Mark) -> bool;
    own_mark(mark: &Mark) -> OwnMark;
    unmark_one(mark: &Mark) -> ();
    give_back(mark: &Mark) -> ();
}
