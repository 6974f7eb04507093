//! MySQL and MariaDB.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use diesel::QueryResult;
use diesel::deserialize::{self, FromSql};
use diesel::mysql::{Mysql, MysqlType};
use diesel::query_builder::AstPass;
use diesel::row::{Field, NamedRow, Row as DieselRow};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::{
    AnsiTransactionManager, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager,
};
use tokio::time::timeout;

use super::error::{of_driver, of_pool};
use super::session::{Bound, DieselBackend, Raw, Values, session};
use crate::event_table::in_transaction::connection::{Connection, Session, Statement};
use crate::event_table::in_transaction::value::{Kind, Parameter, Row, Value};
use crate::layers::code::with_number;
use crate::layers::engine::Engine;
use crate::layers::error::{LayerError, Meaning};
use crate::layers::layer::{Layer, Lends};
use crate::layers::log::LayerLog;

/// `transaction(tx)` over diesel-async on MySQL and MariaDB, with diesel-async's pool for deadpool.
///
/// The body gets a `&mut AsyncMysqlConnection` inside an open transaction of diesel's own transaction manager: the DSL
/// works, and a nested `tx.transaction(..)` is a savepoint. No C library is needed.
///
/// diesel does not tell the database's error numbers, so the log asks the server for them
/// (`GET DIAGNOSTICS`) after a statement of its own that was refused. It cannot after a refused commit, whose error then
/// has less advice than that of [`MySqlLog`](crate::MySqlLog).
pub type DieselMySqlLog = LayerLog<DieselMySql>;

impl DieselMySqlLog {
    /// A log over the application's own pool. Creates nothing and sends nothing.
    pub fn new(pool: Pool<AsyncMysqlConnection>) -> Self {
        Self::over(DieselMySql { pool })
    }

    /// The pool, for the application's own statements.
    pub fn pool(&self) -> &Pool<AsyncMysqlConnection> {
        &self.layer.pool
    }
}

/// The pool.
pub struct DieselMySql {
    pool: Pool<AsyncMysqlConnection>,
}

impl fmt::Debug for DieselMySql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DieselMySql").finish_non_exhaustive()
    }
}

session!(MySqlSession, AsyncMysqlConnection, Engine::MySql);

impl Layer for DieselMySql {
    const NAME: &'static str = "diesel-async";

    type Session = MySqlSession;

    fn engine(&self) -> Engine {
        Engine::MySql
    }

    fn begin(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Self::Session, LayerError>> + Send + 'static {
        MySqlSession::begin(self.pool.clone(), limit)
    }
}

impl DieselBackend for Mysql {
    fn push<'b>(out: &mut AstPass<'_, 'b, Self>, parameter: &'b Bound) -> QueryResult<()> {
        match parameter {
            Bound::Text(text) => out.push_bind_param_value_only::<Text, _>(text),
            Bound::Bytes(bytes) => out.push_bind_param_value_only::<Binary, _>(bytes),
            // Only PostgreSQL's statements have these.
            Bound::Uuid(_) | Bound::TextArray(_) | Bound::UuidArray(_) => Ok(()),
        }
    }

    fn value<'a>(row: &impl NamedRow<'a, Self>, index: usize) -> deserialize::Result<Value> {
        let Some(field) = DieselRow::get(row, index) else { return Ok(Value::Null) };
        let Some(value) = field.value() else { return Ok(Value::Null) };
        let is_number = !matches!(
            value.value_type(),
            MysqlType::String | MysqlType::Blob | MysqlType::Enum | MysqlType::Set | MysqlType::Bit
        );
        Ok(if is_number {
            Value::Int(FromSql::<BigInt, Mysql>::from_sql(value)?)
        } else {
            Value::Bytes(value.as_bytes().to_vec())
        })
    }
}
