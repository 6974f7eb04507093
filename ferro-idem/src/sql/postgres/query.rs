//! Queries of the statements that are written out for one table.

use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::{Query, QueryScalar};
use sqlx::{AssertSqlSafe, FromRow, Postgres};

use super::Statements;

impl Statements {
    /// A statement that is prepared once, if the server keeps it.
    pub(crate) fn query(&self, text: &Arc<str>) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(text))).persistent(self.persists)
    }

    /// The same for one value of each row.
    pub(crate) fn scalar<T>(&self, text: &Arc<str>) -> QueryScalar<'static, Postgres, T, PgArguments>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        sqlx::query_scalar(AssertSqlSafe(Arc::clone(text))).persistent(self.persists)
    }
}
