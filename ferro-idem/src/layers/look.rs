//! What a session tells about a table.

use super::engine::Engine;
use super::error::LayerError;
use crate::event_table::columns::{FoundColumn, Traps};
use crate::event_table::in_transaction::connection::{Connection, RequestError, Statement};
use crate::event_table::in_transaction::value::{Kind, Parameter, Row, first};
use crate::event_table::name::TableName;
use crate::event_table::sqlite::in_flight::InFlight;
use crate::event_table::{mysql, postgres, sqlite};

impl Engine {
    /// The columns of the table, and what makes its answers misleading.
    pub(super) async fn look_at<C: Connection<Error = LayerError>>(
        self,
        session: &mut C,
        table: &TableName,
    ) -> Result<(Vec<FoundColumn>, Traps), LayerError> {
        use Kind::{Bool, Bytes, Int, Text, TextArray};
        let name = Parameter::Text(table.as_str());
        match self {
            Self::Postgres => {
                let quoted = table.quoted();
                let quoted = [Parameter::Text(&quoted)];
                let found =
                    session.rows(postgres::columns::LOOK.into(), &quoted, &[Text, Bool, Bool]).await?;
                let column =
                    |mut row: Row| Ok(postgres::columns::column((row.text()?, row.bool()?, row.bool()?)));
                let found = found.into_iter().map(column).collect::<Result<_, LayerError>>()?;
                let kinds = [Text, Text, Bool, Bool, TextArray, Text];
                let traps =
                    session.rows(postgres::columns::TRAPS.into(), &quoted, &kinds).await?.into_iter().next();
                let read = |mut row: Row| {
                    Ok::<_, LayerError>((
                        row.text()?,
                        row.text()?,
                        row.bool()?,
                        row.bool()?,
                        row.texts()?,
                        row.text()?,
                    ))
                };
                let traps = traps.map(read).transpose()?;
                Ok((found, postgres::columns::traps(table, traps)))
            }
            Self::MySql => {
                let look = mysql::columns::in_schema(mysql::columns::LOOK, table);
                let found = session.rows((&*look).into(), &[name; 3], &[Text, Int, Int, Int]).await?;
                let column = |mut row: Row| {
                    Ok(mysql::columns::column((row.text()?, row.int()?, row.int()?, row.int()?)))
                };
                let found = found.into_iter().map(column).collect::<Result<_, LayerError>>()?;
                let look = mysql::columns::in_schema(mysql::columns::TRAPS, table);
                let kinds = [Int, Int, Int, Int, Int, Text, Int];
                let mut row = first(session.rows((&*look).into(), &[name; 4], &kinds).await?)?;
                let traps = (
                    row.int()?,
                    row.int()?,
                    row.int()?,
                    row.int()?,
                    row.int()?,
                    row.optional_text()?,
                    row.int()?,
                );
                let show = table.in_statement(mysql::columns::SHOW);
                let shown = session.rows((&*show).into(), &[], &[Bytes, Bytes]).await;
                let is_temporary = match shown {
                    Ok(rows) => match rows.into_iter().next() {
                        Some(mut row) => {
                            row.optional_bytes()?;
                            mysql::columns::is_temporary(&row.optional_bytes()?.unwrap_or_default())
                        }
                        None => false,
                    },
                    // There is none, or this user may not see it.
                    Err(error) if error.code().is_some() => false,
                    Err(error) => return Err(error),
                };
                Ok((found, mysql::columns::traps(table, traps, is_temporary)))
            }
            Self::Sqlite => {
                use sqlite::columns::{column, in_schema, pragma, schema, traps};
                let look = in_schema(sqlite::columns::LOOK, table);
                let found = session.rows((&*look).into(), &[name], &[Text, Bool, Bool]).await?;
                let read = |mut row: Row| Ok(column((row.text()?, row.bool()?, row.bool()?)));
                let found = found.into_iter().map(read).collect::<Result<_, LayerError>>()?;
                let look = in_schema(sqlite::columns::TRAPS, table);
                let named = [name, Parameter::Text(schema(table))];
                let mut row = first(session.rows((&*look).into(), &named, &[Text, Bool, Bool, Bool]).await?)?;
                let found_traps = (row.optional_text()?, row.bool()?, row.bool()?, row.bool()?);
                let journal =
                    session.rows(Statement::from(&*pragma(table, "journal_mode")), &[], &[Text]).await?;
                let journal = first(journal)?.text()?;
                let synchronous =
                    session.rows(Statement::from(&*pragma(table, "synchronous")), &[], &[Int]).await?;
                let synchronous = first(synchronous)?.int()?;
                Ok((found, traps(table, found_traps, &journal, synchronous)))
            }
        }
    }

    /// Which transactions of this process have which events, for SQLite.
    pub(super) async fn in_flight<C: Connection<Error = LayerError>>(
        self,
        session: &mut C,
        table: &TableName,
    ) -> Result<Option<InFlight>, LayerError> {
        if self != Self::Sqlite {
            return Ok(None);
        }
        let schema = [Parameter::Text(sqlite::columns::schema(table))];
        let file = "SELECT file FROM pragma_database_list WHERE lower(name) = lower(?1)";
        let rows = session.rows(file.into(), &schema, &[Kind::Text]).await?;
        let file = match rows.into_iter().next() {
            Some(mut row) => row.optional_text()?.unwrap_or_default(),
            None => String::new(),
        };
        Ok(Some(InFlight::of(file.as_ref(), &table.to_string())))
    }
}
