//! tokio-postgres, with the pool of deadpool-postgres.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bytes::BytesMut;
use deadpool_postgres::{ClientWrapper, Object, Pool, PoolError};
use tokio::time::timeout;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::engine::Engine;
use super::error::{LayerError, Meaning, Refusal};
use super::layer::{Layer, Lends};
use super::log::LayerLog;
use crate::event_table::in_transaction::connection::{Connection, Session, Statement};
use crate::event_table::in_transaction::value::{Kind, Parameter, Row, Value};

/// `transaction(tx)` over tokio-postgres, with the pool of deadpool-postgres.
///
/// The body gets a `&mut` [`TokioPostgresConnection`], which derefs to deadpool's client and through it to
/// `tokio_postgres::Client`. It cannot be a `tokio_postgres::Transaction`, because that borrows its client. The
/// transaction is begun and ended by statements: a body must not send `COMMIT` or `ROLLBACK` itself. If it does, the
/// delivery is answered with [`Error::Store`](crate::Error::Store). A savepoint of its own is fine
/// (`batch_execute("SAVEPOINT part")`).
///
/// The body runs in a transaction with the session's isolation level. The pool's own limits for waiting hold as well;
/// without any, a delivery waits for a connection for up to 10 seconds.
///
/// # Behind a pooler
///
/// Statements are prepared once per connection, so `PgBouncer` in transaction mode needs `max_prepared_statements`
/// (from 1.21 on). It is not looked for, as [`PostgresLog`](crate::PostgresLog) does.
///
/// ```no_run
/// use deadpool_postgres::{Manager, Pool};
/// use ferro_idem::{Error, TokioPostgresConnection, TokioPostgresLog, idempotent_webhook};
///
/// #[derive(Debug, thiserror::Error)]
/// enum AppError {
///     #[error(transparent)]
///     Fence(#[from] Error),
///     #[error(transparent)]
///     Database(#[from] tokio_postgres::Error),
/// }
///
/// #[idempotent_webhook(transaction(tx))]
/// async fn book(log: &TokioPostgresLog, event: &str) -> Result<(), AppError> {
///     tx.execute("INSERT INTO payments VALUES ($1)", &[&event]).await?;
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = "postgres://app@localhost/shop".parse()?;
/// let pool = Pool::builder(Manager::new(config, tokio_postgres::NoTls)).build()?;
/// let log = TokioPostgresLog::new(pool);
/// book(&log, "evt_1").await?;
/// # Ok(()) }
/// ```
pub type TokioPostgresLog = LayerLog<TokioPostgres>;

impl TokioPostgresLog {
    /// A log over the application's own pool. Creates nothing and sends nothing.
    pub fn new(pool: Pool) -> Self {
        Self::over(TokioPostgres { pool })
    }

    /// The pool, for the application's own statements.
    pub fn pool(&self) -> &Pool {
        &self.layer.pool
    }
}

/// The pool.
#[derive(Debug)]
pub struct TokioPostgres {
    pool: Pool,
}

impl Layer for TokioPostgres {
    const NAME: &'static str = "tokio-postgres";

    type Session = TokioPostgresSession;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn begin(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<TokioPostgresSession, LayerError>> + Send + 'static {
        let pool = self.pool.clone();
        async move {
            let taken = timeout(limit, pool.get()).await;
            let object =
                taken.map_err(|late| LayerError::new(Meaning::NoConnection, late))?.map_err(of_pool)?;
            let mut session = TokioPostgresSession(TokioPostgresConnection(Some(object)));
            session.run(Engine::Postgres.begin()).await?;
            Ok(session)
        }
    }
}

/// What the body of a transaction gets over tokio-postgres. It derefs to deadpool's `ClientWrapper`, which derefs to
/// `tokio_postgres::Client`, for shared use only: `Client::transaction` would commit the event with its first part.
pub struct TokioPostgresConnection(Option<Object>);

impl Deref for TokioPostgresConnection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        let Some(object) = &self.0 else { unreachable!("only its end takes it") };
        object
    }
}

impl fmt::Debug for TokioPostgresConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokioPostgresConnection").finish_non_exhaustive()
    }
}

/// A connection whose transaction nobody ended is closed, and its place in the pool is free at once.
impl Drop for TokioPostgresConnection {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// A connection with an open transaction.
#[derive(Debug)]
pub struct TokioPostgresSession(TokioPostgresConnection);

impl TokioPostgresSession {
    async fn end_by(mut self, statement: &str) -> Result<(), LayerError> {
        self.run(statement).await?;
        // Back into its pool.
        drop(self.0.0.take());
        Ok(())
    }
}

impl Lends for TokioPostgresSession {
    type Target = TokioPostgresConnection;

    fn target(&self) -> &TokioPostgresConnection {
        &self.0
    }

    fn target_mut(&mut self) -> &mut TokioPostgresConnection {
        &mut self.0
    }
}

impl Connection for TokioPostgresSession {
    type Error = LayerError;

    async fn run(&mut self, statements: &str) -> Result<(), LayerError> {
        self.0.batch_execute(statements).await.map_err(of_driver)
    }

    async fn execute(
        &mut self,
        statement: Statement<'_>,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, LayerError> {
        let statement =
            self.0.prepare_typed_cached(statement.as_str(), &types(parameters)).await.map_err(of_driver)?;
        self.0.execute(&statement, &bound(parameters)).await.map_err(of_driver)
    }

    async fn rows(
        &mut self,
        statement: Statement<'_>,
        parameters: &[Parameter<'_>],
        kinds: &[Kind],
    ) -> Result<Vec<Row>, LayerError> {
        let statement =
            self.0.prepare_typed_cached(statement.as_str(), &types(parameters)).await.map_err(of_driver)?;
        let rows = self.0.query(&statement, &bound(parameters)).await.map_err(of_driver)?;
        let row = |row: &tokio_postgres::Row| {
            let values = kinds.iter().enumerate().map(|(index, kind)| value(row, index, *kind));
            values.collect::<Result<Vec<_>, _>>().map(Row::new)
        };
        rows.iter().map(row).collect::<Result<_, _>>().map_err(of_driver)
    }
}

impl Session for TokioPostgresSession {
    async fn commit(self) -> Result<(), LayerError> {
        self.end_by("COMMIT").await
    }

    async fn roll_back(self) -> Result<(), LayerError> {
        self.end_by("ROLLBACK").await
    }

    fn close(self) {
        drop(self);
    }
}

fn value(row: &tokio_postgres::Row, index: usize, kind: Kind) -> Result<Value, tokio_postgres::Error> {
    Ok(match kind {
        Kind::Bool => Value::of(row.try_get(index)?, Value::Bool),
        Kind::Int => Value::of(row.try_get(index)?, Value::Int),
        Kind::Text => Value::of(row.try_get(index)?, Value::Text),
        Kind::Bytes => Value::of(row.try_get(index)?, Value::Bytes),
        Kind::Uuid => Value::of(row.try_get(index)?, |Uuid(uuid)| Value::Bytes(uuid)),
        Kind::TextArray => Value::of(row.try_get(index)?, Value::TextArray),
    })
}

fn types(parameters: &[Parameter<'_>]) -> Vec<Type> {
    let kind = |parameter: &Parameter<'_>| match parameter {
        Parameter::Text(_) => Type::TEXT,
        Parameter::Bytes(_) => Type::BYTEA,
        Parameter::Uuid(_) => Type::UUID,
        Parameter::TextArray(_) => Type::TEXT_ARRAY,
        Parameter::UuidArray(_) => Type::UUID_ARRAY,
    };
    parameters.iter().map(kind).collect()
}

fn bound<'a>(parameters: &'a [Parameter<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect()
}

/// Each is bound as the type that [`types`] names.
impl ToSql for Parameter<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Parameter::Text(text) => text.to_sql(kind, out),
            Parameter::Bytes(bytes) => bytes.to_sql(kind, out),
            Parameter::Uuid(uuid) => Uuid(uuid.to_vec()).to_sql(kind, out),
            Parameter::TextArray(text) => [*text].as_slice().to_sql(kind, out),
            Parameter::UuidArray(uuid) => [Uuid(uuid.to_vec())].as_slice().to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The bytes of a UUID.
#[derive(Debug)]
struct Uuid(Vec<u8>);

impl ToSql for Uuid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Uuid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }
}

fn of_driver(error: tokio_postgres::Error) -> LayerError {
    let meaning = match error.as_db_error() {
        Some(refusal) => Meaning::Refused(Refusal {
            code: refusal.code().code().to_owned(),
            message: refusal.message().to_owned(),
            constraint: refusal
                .constraint()
                .zip(refusal.table())
                .map(|(name, table)| (name.to_owned(), table.to_owned())),
        }),
        None if error.is_closed() || is_io(&error) => Meaning::Lost,
        None => Meaning::Other,
    };
    LayerError::new(meaning, error)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(<dyn StdError>::is::<std::io::Error>)
}

fn of_pool(error: PoolError) -> LayerError {
    match error {
        PoolError::Backend(error) => {
            let refused = of_driver(error);
            match refused.meaning {
                Meaning::Other => LayerError { meaning: Meaning::CannotConnect, ..refused },
                _ => refused,
            }
        }
        PoolError::Closed | PoolError::NoRuntimeSpecified => LayerError::new(Meaning::CannotConnect, error),
        PoolError::Timeout(_) | PoolError::PostCreateHook(_) => LayerError::new(Meaning::NoConnection, error),
    }
}
