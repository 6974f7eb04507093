//! sea-orm.

use std::fmt;
use std::time::Duration;

use sea_orm::prelude::Uuid;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult,
    RuntimeErr, Statement, TransactionTrait, TryGetable,
};

use super::code::with_number;
use super::engine::Engine;
use super::error::{LayerError, Meaning, Refusal};
use super::layer::{Layer, Lends};
use super::log::LayerLog;
use crate::event_table::in_transaction::connection::{Connection, Session, Statement as Sql};
use crate::event_table::in_transaction::value::{Kind, Parameter, Row, Value};
use crate::event_table::mysql;

/// `transaction(tx)` over sea-orm 2, on PostgreSQL, MySQL, MariaDB or SQLite: what the application's
/// `DatabaseConnection` leads to.
///
/// The body gets a `&mut` `DatabaseTransaction`: entities, the query builder and raw statements work on it. A nested
/// `tx.begin()` is a savepoint. Enable sea-orm's features for the database and for TLS in your own `Cargo.toml`.
///
/// # What sea-orm does not promise
///
/// - A connection cannot be closed through sea-orm. If the server is gone without notice, a connection keeps its place in the
///   pool for as long as the operating system waits. With [`PostgresLog`](crate::PostgresLog), it is free after 2 seconds.
/// - A begin waits for a connection inside sea-orm, so a delivery that is dropped then goes on waiting for it, for no longer
///   than `acquire_timeout`.
/// - A pooler such as `PgBouncer` is not looked for.
///
/// ```
/// use ferro_idem::{Error, SeaOrmLog, idempotent_webhook};
/// use sea_orm::{ConnectionTrait, DbErr};
///
/// #[derive(Debug, thiserror::Error)]
/// enum AppError {
///     #[error(transparent)]
///     Fence(#[from] Error),
///     #[error(transparent)]
///     Database(#[from] DbErr),
/// }
///
/// #[idempotent_webhook(transaction(tx))]
/// async fn book(log: &SeaOrmLog, event: &str) -> Result<(), AppError> {
///     tx.execute_unprepared("INSERT INTO payments VALUES (1)").await?;
///     Ok(())
/// }
/// ```
pub type SeaOrmLog = LayerLog<SeaOrm>;

impl SeaOrmLog {
    /// A log over the application's own connection, which is a pool. Creates nothing and sends nothing.
    pub fn new(connection: DatabaseConnection) -> Self {
        Self::over(SeaOrm { connection })
    }

    /// The connection, for the application's own statements.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.layer.connection
    }
}

/// The pool.
pub struct SeaOrm {
    connection: DatabaseConnection,
}

impl fmt::Debug for SeaOrm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SeaOrm").finish_non_exhaustive()
    }
}

impl Layer for SeaOrm {
    const NAME: &'static str = "sea-orm";

    type Session = SeaOrmSession;

    fn engine(&self) -> Engine {
        match self.connection.get_database_backend() {
            DbBackend::MySql => Engine::MySql,
            DbBackend::Sqlite => Engine::Sqlite,
            // Postgres. A new one is refused by its answers.
            _ => Engine::Postgres,
        }
    }

    fn begin(&self, _: Duration) -> impl Future<Output = Result<SeaOrmSession, LayerError>> + Send + 'static {
        let connection = self.connection.clone();
        async move {
            let backend = connection.get_database_backend();
            let begun = connection.begin().await.map_err(|error| of_driver(backend, error))?;
            let mut session = SeaOrmSession(begun);
            // sea-orm begins with a statement of its own.
            if backend == DbBackend::MySql {
                session.run(mysql::SAVEPOINT).await?;
            }
            Ok(session)
        }
    }
}

/// A connection with an open transaction. sea-orm rolls it back when it is dropped.
#[derive(Debug)]
pub struct SeaOrmSession(DatabaseTransaction);

impl SeaOrmSession {
    fn backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    fn statement(&self, sql: &str, parameters: &[Parameter<'_>]) -> Statement {
        Statement::from_sql_and_values(self.backend(), sql, parameters.iter().map(bound))
    }
}

impl Lends for SeaOrmSession {
    type Target = DatabaseTransaction;

    fn target(&self) -> &DatabaseTransaction {
        &self.0
    }

    fn target_mut(&mut self) -> &mut DatabaseTransaction {
        &mut self.0
    }
}

impl Connection for SeaOrmSession {
    type Error = LayerError;

    async fn run(&mut self, statements: &str) -> Result<(), LayerError> {
        let ran = self.0.execute_unprepared(statements).await;
        ran.map(drop).map_err(|error| of_driver(self.backend(), error))
    }

    async fn execute(&mut self, statement: Sql<'_>, parameters: &[Parameter<'_>]) -> Result<u64, LayerError> {
        let executed = self.0.execute_raw(self.statement(statement.as_str(), parameters)).await;
        executed.map(|done| done.rows_affected()).map_err(|error| of_driver(self.backend(), error))
    }

    async fn rows(
        &mut self,
        statement: Sql<'_>,
        parameters: &[Parameter<'_>],
        kinds: &[Kind],
    ) -> Result<Vec<Row>, LayerError> {
        let explained = |error| of_driver(self.backend(), error);
        let rows =
            self.0.query_all_raw(self.statement(statement.as_str(), parameters)).await.map_err(explained)?;
        let row = |row: &QueryResult| {
            let values = kinds.iter().enumerate().map(|(index, kind)| value(row, index, *kind));
            values.collect::<Result<Vec<_>, _>>().map(Row::new)
        };
        rows.iter().map(row).collect::<Result<_, _>>().map_err(explained)
    }

    async fn with_code(&mut self, error: LayerError) -> LayerError {
        match self.backend() {
            DbBackend::MySql => with_number(self, error).await,
            _ => error,
        }
    }
}

impl Session for SeaOrmSession {
    async fn commit(self) -> Result<(), LayerError> {
        let backend = self.backend();
        self.0.commit().await.map_err(|error| of_driver(backend, error))
    }

    async fn roll_back(self) -> Result<(), LayerError> {
        let backend = self.backend();
        self.0.rollback().await.map_err(|error| of_driver(backend, error))
    }

    /// sea-orm cannot close one. It rolls back, and returns it.
    fn close(self) {
        drop(self);
    }
}

fn bound(parameter: &Parameter<'_>) -> sea_orm::Value {
    match *parameter {
        Parameter::Text(text) => text.to_owned().into(),
        Parameter::Bytes(bytes) => bytes.to_vec().into(),
        Parameter::Uuid(uuid) => Uuid::from_bytes(uuid).into(),
        Parameter::TextArray(text) => vec![text.to_owned()].into(),
        Parameter::UuidArray(uuid) => vec![Uuid::from_bytes(uuid)].into(),
    }
}

fn value(row: &QueryResult, index: usize, kind: Kind) -> Result<Value, DbErr> {
    fn read<T: TryGetable>(row: &QueryResult, index: usize) -> Result<Option<T>, DbErr> {
        row.try_get_by_index(index)
    }
    Ok(match kind {
        Kind::Bool => Value::of(read(row, index)?, Value::Bool),
        Kind::Int => Value::of(read(row, index)?, Value::Int),
        Kind::Text => Value::of(read(row, index)?, Value::Text),
        Kind::Bytes => Value::of(read(row, index)?, Value::Bytes),
        Kind::Uuid => Value::of(read::<Uuid>(row, index)?, |uuid| Value::Bytes(uuid.into_bytes().to_vec())),
        Kind::TextArray => Value::of(read(row, index)?, Value::TextArray),
    })
}

fn of_driver(backend: DbBackend, error: DbErr) -> LayerError {
    let meaning = match &error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Meaning::NoConnection,
        DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => Meaning::CannotConnect,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => of_sqlx(backend, error),
        _ => Meaning::Other,
    };
    LayerError::new(meaning, error)
}

fn of_sqlx(backend: DbBackend, error: &sea_orm::sqlx::Error) -> Meaning {
    use sea_orm::sqlx::Error;
    match error {
        Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            let code = match (backend, &*code) {
                (DbBackend::MySql, _) if refusal.is_unique_violation() => "1062",
                (DbBackend::MySql, "40001") => "1213",
                // sqlx has the number as well, behind the types of its own driver for MySQL. The server tells it.
                (DbBackend::MySql, _) => "",
                (_, code) => code,
            };
            Meaning::Refused(Refusal {
                code: code.to_owned(),
                message: refusal.message().to_owned(),
                constraint: refusal
                    .constraint()
                    .zip(refusal.table())
                    .map(|(name, table)| (name.to_owned(), table.to_owned())),
            })
        }
        Error::PoolTimedOut => Meaning::NoConnection,
        Error::PoolClosed | Error::Tls(_) | Error::Configuration(_) => Meaning::CannotConnect,
        Error::Io(_) | Error::Protocol(_) | Error::WorkerCrashed => Meaning::Lost,
        _ => Meaning::Other,
    }
}
