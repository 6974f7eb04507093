//! sqlx's connections, as the protocol inside a transaction sees them.

use std::borrow::Cow;
use std::error::Error as StdError;

#[cfg(any(feature = "mysql", feature = "sqlite"))]
use sqlx::{AssertSqlSafe, Encode, query::Query};
use sqlx::{ColumnIndex, Database, Decode, Row as _, Type};

use super::dialect::Dialect;
use super::fault::RowChanged;
use super::pooled_transaction::PooledTransaction;
use crate::event_table::fault::RefusedCommit;
use crate::event_table::in_transaction::connection::{Answer, Connection, RequestError, Session, Statement};
use crate::event_table::in_transaction::value::{Kind, Parameter, Row, Value, WrongValue};

/// A connection that is lent.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(super) struct OnSqlx<'c, D: Dialect>(pub(super) &'c mut D::Connection);

macro_rules! connection {
    ([$($lifetime:lifetime)?] $connection:ty, $this:ident => $lent:expr) => {
        impl<$($lifetime,)? D: Dialect> Connection for $connection {
            type Error = sqlx::Error;

            fn run(&mut self, statements: &str) -> impl Answer<(), sqlx::Error> {
                let $this = self;
                D::run($lent, statements.to_owned())
            }

            fn execute(
                &mut self,
                statement: Statement<'_>,
                parameters: &[Parameter<'_>],
            ) -> impl Answer<u64, sqlx::Error> {
                let $this = self;
                D::execute($lent, statement, parameters)
            }

            fn rows(
                &mut self,
                statement: Statement<'_>,
                parameters: &[Parameter<'_>],
                kinds: &[Kind],
            ) -> impl Answer<Vec<Row>, sqlx::Error> {
                let $this = self;
                D::rows($lent, statement, parameters, kinds)
            }
        }
    };
}

#[cfg(any(feature = "mysql", feature = "sqlite"))]
connection!(['c] OnSqlx<'c, D>, this => this.0);
connection!([] PooledTransaction<D>, this => this);

impl<D: Dialect> Session for PooledTransaction<D> {
    fn commit(self) -> impl Answer<(), sqlx::Error> {
        self.commit()
    }

    fn roll_back(self) -> impl Answer<(), sqlx::Error> {
        self.roll_back()
    }

    fn close(self) {
        self.close();
    }
}

impl RequestError for sqlx::Error {
    fn row_not_found() -> Self {
        Self::RowNotFound
    }

    fn row_changed() -> Self {
        RowChanged.into()
    }

    fn is_row_not_found(&self) -> bool {
        matches!(self, Self::RowNotFound)
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        let refusal = self.as_database_error()?;
        #[cfg(feature = "mysql")]
        if let Some(number) = super::mysql::fault::number(refusal) {
            return Some(number.to_string().into());
        }
        Some(refusal.code().unwrap_or_default())
    }

    fn refused_commit(&self) -> Option<RefusedCommit> {
        let refusal = self.as_database_error()?;
        let code = refusal.code().unwrap_or_default().into_owned();
        Some(RefusedCommit::new(code, refusal.constraint().zip(refusal.table())))
    }

    fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.into()
    }
}

impl From<WrongValue> for sqlx::Error {
    fn from(wrong: WrongValue) -> Self {
        Self::Decode(wrong.into())
    }
}

/// The statement with its parameters, for a database that has no UUIDs and arrays.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(super) fn query<D: Database>(
    statement: Statement<'_>,
    parameters: &[Parameter<'_>],
) -> Query<'static, D, D::Arguments>
where
    for<'v> &'v str: Encode<'v, D> + Type<D>,
    for<'v> &'v [u8]: Encode<'v, D> + Type<D>,
{
    let query = sqlx::query(AssertSqlSafe(statement.to_shared()));
    parameters.iter().fold(query, |query, parameter| match *parameter {
        Parameter::Text(text) => query.bind(text),
        Parameter::Bytes(bytes) => query.bind(bytes),
        Parameter::Uuid(_) | Parameter::TextArray(_) | Parameter::UuidArray(_) => query,
    })
}

/// A value of a type that every database has.
pub(super) fn value<D: Database>(row: &D::Row, index: usize, kind: Kind) -> Result<Value, sqlx::Error>
where
    usize: ColumnIndex<D::Row>,
    for<'r> bool: Decode<'r, D> + Type<D>,
    for<'r> i64: Decode<'r, D> + Type<D>,
    for<'r> String: Decode<'r, D> + Type<D>,
    for<'r> Vec<u8>: Decode<'r, D> + Type<D>,
{
    Ok(match kind {
        Kind::Bool => Value::of(row.try_get(index)?, Value::Bool),
        Kind::Int => Value::of(row.try_get(index)?, Value::Int),
        Kind::Text => Value::of(row.try_get(index)?, Value::Text),
        Kind::Bytes => Value::of(row.try_get(index)?, Value::Bytes),
        Kind::Uuid | Kind::TextArray => Value::Null,
    })
}

/// The methods of [`Dialect`] for one statement of a transaction. A macro, because the bounds of sqlx's executors on a
/// generic connection would be longer than this.
macro_rules! requests {
    ($connection:ty, $query:expr, $value:expr) => {
        async fn execute(
            connection: &mut $connection,
            statement: crate::event_table::in_transaction::connection::Statement<'_>,
            parameters: &[crate::event_table::in_transaction::value::Parameter<'_>],
        ) -> Result<u64, sqlx::Error> {
            Ok($query(statement, parameters).execute(connection).await?.rows_affected())
        }

        async fn rows(
            connection: &mut $connection,
            statement: crate::event_table::in_transaction::connection::Statement<'_>,
            parameters: &[crate::event_table::in_transaction::value::Parameter<'_>],
            kinds: &[crate::event_table::in_transaction::value::Kind],
        ) -> Result<Vec<crate::event_table::in_transaction::value::Row>, sqlx::Error> {
            let rows = $query(statement, parameters).fetch_all(connection).await?;
            let row = |row| {
                let values = kinds.iter().enumerate().map(|(index, kind)| $value(row, index, *kind));
                values.collect::<Result<_, _>>().map(crate::event_table::in_transaction::value::Row::new)
            };
            rows.iter().map(row).collect()
        }
    };
}

pub(super) use requests;
