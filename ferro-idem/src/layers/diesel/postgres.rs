//! PostgreSQL.

use std::fmt;
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use diesel::QueryResult;
use diesel::deserialize::{self, FromSql};
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::AstPass;
use diesel::row::{Field, NamedRow, Row as DieselRow};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, SmallInt, Text, Uuid};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager,
};
use tokio::time::timeout;

use super::error::{of_driver, of_pool};
use super::session::{Bound, DieselBackend, Raw, UuidBytes, Values, session};
use crate::event_table::in_transaction::connection::{Connection, Session, Statement};
use crate::event_table::in_transaction::value::{Kind, Parameter, Row, Value};
use crate::layers::code::with_number;
use crate::layers::engine::Engine;
use crate::layers::error::{LayerError, Meaning};
use crate::layers::layer::{Layer, Lends};
use crate::layers::log::LayerLog;

/// `transaction(tx)` over diesel-async on PostgreSQL, with diesel-async's pool for deadpool.
///
/// The body gets a `&mut AsyncPgConnection` inside an open transaction of diesel's own transaction manager: the DSL works,
/// and a nested `tx.transaction(..)` is a savepoint. No C library is needed.
///
/// # What diesel does not promise
///
/// diesel does not tell the database's error codes, but a few kinds of its own. So some errors are answered with less advice
/// than by [`PostgresLog`](crate::PostgresLog), and a deadlock of the mark is an [`Error::Store`](crate::Error::Store) at
/// once, where the sender delivers again. A pooler such as `PgBouncer` is not looked for.
///
/// ```no_run
/// use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};
/// use diesel_async::{AsyncPgConnection, RunQueryDsl};
/// use ferro_idem::{DieselPostgresLog, Error, idempotent_webhook};
///
/// #[derive(Debug, thiserror::Error)]
/// enum AppError {
///     #[error(transparent)]
///     Fence(#[from] Error),
///     #[error(transparent)]
///     Database(#[from] diesel::result::Error),
/// }
///
/// #[idempotent_webhook(transaction(tx))]
/// async fn book(log: &DieselPostgresLog, event: &str) -> Result<(), AppError> {
///     diesel::sql_query("INSERT INTO payments VALUES (1)").execute(tx).await?;
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new("postgres://app@localhost/shop");
/// let log = DieselPostgresLog::new(Pool::builder(manager).build()?);
/// book(&log, "evt_1").await?;
/// # Ok(()) }
/// ```
pub type DieselPostgresLog = LayerLog<DieselPostgres>;

impl DieselPostgresLog {
    /// A log over the application's own pool. Creates nothing and sends nothing.
    pub fn new(pool: Pool<AsyncPgConnection>) -> Self {
        Self::over(DieselPostgres { pool })
    }

    /// The pool, for the application's own statements.
    pub fn pool(&self) -> &Pool<AsyncPgConnection> {
        &self.layer.pool
    }
}

/// The pool.
pub struct DieselPostgres {
    pool: Pool<AsyncPgConnection>,
}

impl fmt::Debug for DieselPostgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DieselPostgres").finish_non_exhaustive()
    }
}

session!(PostgresSession, AsyncPgConnection, Engine::Postgres);

impl Layer for DieselPostgres {
    const NAME: &'static str = "diesel-async";

    type Session = PostgresSession;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn begin(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Self::Session, LayerError>> + Send + 'static {
        PostgresSession::begin(self.pool.clone(), limit)
    }
}

impl DieselBackend for Pg {
    fn push<'b>(out: &mut AstPass<'_, 'b, Self>, parameter: &'b Bound) -> QueryResult<()> {
        match parameter {
            Bound::Text(text) => out.push_bind_param_value_only::<Text, _>(text),
            Bound::Bytes(bytes) => out.push_bind_param_value_only::<Binary, _>(bytes),
            Bound::Uuid(uuid) => out.push_bind_param_value_only::<Uuid, _>(uuid),
            Bound::TextArray(texts) => out.push_bind_param_value_only::<Array<Text>, _>(texts),
            Bound::UuidArray(uuids) => out.push_bind_param_value_only::<Array<Uuid>, _>(uuids),
        }
    }

    fn value<'a>(row: &impl NamedRow<'a, Self>, index: usize) -> deserialize::Result<Value> {
        let Some(field) = DieselRow::get(row, index) else { return Ok(Value::Null) };
        let Some(value) = field.value() else { return Ok(Value::Null) };
        read(value)
    }
}

/// By the type that the server tells (<https://www.postgresql.org/docs/current/catalog-pg-type.html>).
fn read(value: PgValue<'_>) -> deserialize::Result<Value> {
    Ok(match value.get_oid().get() {
        16 => Value::Bool(FromSql::<Bool, Pg>::from_sql(value)?),
        20 => Value::Int(FromSql::<BigInt, Pg>::from_sql(value)?),
        21 => {
            let value: i16 = FromSql::<SmallInt, Pg>::from_sql(value)?;
            Value::Int(value.into())
        }
        23 => {
            let value: i32 = FromSql::<Integer, Pg>::from_sql(value)?;
            Value::Int(value.into())
        }
        1009 => Value::TextArray(FromSql::<Array<Text>, Pg>::from_sql(value)?),
        // Text and UUIDs.
        _ => Value::Bytes(value.as_bytes().to_vec()),
    })
}

impl ToSql<Uuid, Pg> for UuidBytes {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0)?;
        Ok(IsNull::No)
    }
}
