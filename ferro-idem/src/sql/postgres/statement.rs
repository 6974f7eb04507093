//! One statement of a transaction.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Postgres, Row};

use crate::event_table::in_transaction::connection::Statement;
use crate::event_table::in_transaction::value::{Kind, Parameter, Value};
use crate::sql::on_sqlx;

pub(super) fn query(
    statement: Statement<'_>,
    parameters: &[Parameter<'_>],
) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(statement.to_shared())).persistent(statement.is_kept());
    parameters.iter().fold(query, |query, parameter| match *parameter {
        Parameter::Text(text) => query.bind(text),
        Parameter::Bytes(bytes) => query.bind(bytes),
        Parameter::Uuid(uuid) => query.bind(Uuid::from_bytes(uuid)),
        Parameter::TextArray(text) => query.bind([text]),
        Parameter::UuidArray(uuid) => query.bind([Uuid::from_bytes(uuid)]),
    })
}

pub(super) fn value(row: &PgRow, index: usize, kind: Kind) -> Result<Value, sqlx::Error> {
    let bytes = |uuid: Uuid| Value::Bytes(uuid.into_bytes().to_vec());
    match kind {
        Kind::Uuid => Ok(Value::of(row.try_get(index)?, bytes)),
        Kind::TextArray => Ok(Value::of(row.try_get(index)?, Value::TextArray)),
        of_every_database => on_sqlx::value::<Postgres>(row, index, of_every_database),
    }
}
