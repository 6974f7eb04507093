//! A pooled connection of diesel-async with an open transaction, whatever the database.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::deserialize::{self, QueryableByName};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::row::NamedRow;
use diesel::sql_types::Untyped;

use crate::event_table::in_transaction::value::{Kind, Parameter, Row, Value};

/// How a backend of diesel writes parameters and reads values.
#[allow(missing_docs)]
pub(super) trait DieselBackend: Backend {
    fn push<'b>(out: &mut AstPass<'_, 'b, Self>, parameter: &'b Bound) -> QueryResult<()>;

    fn value<'a>(row: &impl NamedRow<'a, Self>, index: usize) -> deserialize::Result<Value>;
}

/// A parameter that a statement owns.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub(super) enum Bound {
    Text(String),
    Bytes(Vec<u8>),
    Uuid(UuidBytes),
    TextArray(Vec<String>),
    UuidArray(Vec<UuidBytes>),
}

/// The bytes of a UUID. Public, because PostgreSQL's implementations of diesel's traits name it.
#[allow(unreachable_pub)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "diesel-postgres", derive(diesel::expression::AsExpression))]
#[cfg_attr(feature = "diesel-postgres", diesel(sql_type = diesel::sql_types::Uuid))]
pub struct UuidBytes(pub(super) [u8; 16]);

impl Bound {
    fn of(parameter: &Parameter<'_>) -> Self {
        match *parameter {
            Parameter::Text(text) => Self::Text(text.to_owned()),
            Parameter::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Parameter::Uuid(uuid) => Self::Uuid(UuidBytes(uuid)),
            Parameter::TextArray(text) => Self::TextArray(vec![text.to_owned()]),
            Parameter::UuidArray(uuid) => Self::UuidArray(vec![UuidBytes(uuid)]),
        }
    }
}

/// A statement that diesel prepares once for each connection. `sql_query` is prepared each time.
#[derive(Debug)]
pub(super) struct Raw {
    sql: String,
    parameters: Vec<Bound>,
}

impl Raw {
    pub(super) fn new(sql: &str, parameters: &[Parameter<'_>]) -> Self {
        Self { sql: sql.to_owned(), parameters: parameters.iter().map(Bound::of).collect() }
    }
}

impl<B: DieselBackend> QueryFragment<B> for Raw {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, B>) -> QueryResult<()> {
        out.push_sql(&self.sql);
        self.parameters.iter().try_for_each(|parameter| B::push(&mut out, parameter))
    }
}

impl QueryId for Raw {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Raw {
    type SqlType = Untyped;
}

/// The values of a row as the backend reads them, without the types that the statement's reader expects.
#[derive(Debug)]
pub(super) struct Values(Vec<Value>);

impl<B: DieselBackend> QueryableByName<B> for Values {
    fn build<'a>(row: &impl NamedRow<'a, B>) -> deserialize::Result<Self> {
        (0..row.field_count()).map(|index| B::value(row, index)).collect::<Result<_, _>>().map(Self)
    }
}

impl Values {
    pub(super) fn read(self, kinds: &[Kind]) -> Row {
        let read = |(value, kind): (Value, &Kind)| match (value, kind) {
            (Value::Bytes(bytes), Kind::Text) => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
            (value, _) => value,
        };
        Row::new(self.0.into_iter().zip(kinds).map(read).collect())
    }
}

/// Makes the session of a connection. It is a macro, because the bounds of diesel's own traits on a generic one would be
/// longer than this.
macro_rules! session {
    ($session:ident, $connection:ty, $engine:expr) => {
        /// A connection with an open transaction. Dropped, it is closed, and its place in the pool is free at once.
        pub struct $session(Option<Object<$connection>>);

        impl $session {
            /// Takes a connection from the pool and begins a transaction on it.
            pub(super) async fn begin(pool: Pool<$connection>, limit: Duration) -> Result<Self, LayerError> {
                let taken = timeout(limit, pool.get()).await;
                let taken = taken.map_err(|late| LayerError::new(Meaning::NoConnection, late))?;
                let mut session = Self(Some(taken.map_err(of_pool)?));
                let begun =
                    AnsiTransactionManager::begin_transaction_sql(&mut *session, $engine.begin()).await;
                begun.map_err(|error| of_driver($engine, error))?;
                Ok(session)
            }

            /// Returns the connection to its pool, which closes one whose transaction is still open.
            fn ended(mut self, ended: QueryResult<()>) -> Result<(), LayerError> {
                ended.map_err(|error| of_driver($engine, error))?;
                drop(self.0.take());
                Ok(())
            }
        }

        impl fmt::Debug for $session {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.debug_struct(stringify!($session)).finish_non_exhaustive()
            }
        }

        impl Drop for $session {
            fn drop(&mut self) {
                if let Some(object) = self.0.take() {
                    drop(Object::take(object));
                }
            }
        }

        impl Deref for $session {
            type Target = $connection;

            fn deref(&self) -> &$connection {
                let Some(object) = &self.0 else { unreachable!("only its end takes it") };
                object
            }
        }

        impl DerefMut for $session {
            fn deref_mut(&mut self) -> &mut $connection {
                let Some(object) = &mut self.0 else { unreachable!("only its end takes it") };
                object
            }
        }

        impl Lends for $session {
            type Target = $connection;

            fn target(&self) -> &$connection {
                self
            }

            fn target_mut(&mut self) -> &mut $connection {
                self
            }
        }

        impl Connection for $session {
            type Error = LayerError;

            async fn run(&mut self, statements: &str) -> Result<(), LayerError> {
                self.batch_execute(statements).await.map_err(|error| of_driver($engine, error))
            }

            async fn execute(
                &mut self,
                statement: Statement<'_>,
                parameters: &[Parameter<'_>],
            ) -> Result<u64, LayerError> {
                let affected = Raw::new(statement.as_str(), parameters).execute(&mut **self).await;
                let affected = affected.map_err(|error| of_driver($engine, error))?;
                Ok(u64::try_from(affected).unwrap_or(u64::MAX))
            }

            async fn rows(
                &mut self,
                statement: Statement<'_>,
                parameters: &[Parameter<'_>],
                kinds: &[Kind],
            ) -> Result<Vec<Row>, LayerError> {
                let rows = Raw::new(statement.as_str(), parameters).load::<Values>(&mut **self).await;
                let rows = rows.map_err(|error| of_driver($engine, error))?;
                Ok(rows.into_iter().map(|values| values.read(kinds)).collect())
            }

            async fn with_code(&mut self, error: LayerError) -> LayerError {
                match $engine {
                    Engine::MySql => with_number(self, error).await,
                    Engine::Postgres | Engine::Sqlite => error,
                }
            }
        }

        impl Session for $session {
            async fn commit(mut self) -> Result<(), LayerError> {
                let committed = AnsiTransactionManager::commit_transaction(&mut *self).await;
                self.ended(committed)
            }

            async fn roll_back(mut self) -> Result<(), LayerError> {
                let rolled_back = AnsiTransactionManager::rollback_transaction(&mut *self).await;
                self.ended(rolled_back)
            }

            fn close(self) {
                drop(self);
            }
        }
    };
}

pub(super) use session;
