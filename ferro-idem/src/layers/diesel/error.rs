//! What diesel tells about an error. It does not tell the database's code, but a kind of its own.

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::pooled_connection::PoolError;
use diesel_async::pooled_connection::deadpool::PoolError as DeadpoolError;

use crate::layers::engine::Engine;
use crate::layers::error::{LayerError, Meaning, Refusal};

pub(super) fn of_driver(engine: Engine, error: Error) -> LayerError {
    let meaning = match &error {
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _,
        )
        | Error::BrokenTransactionManager => Meaning::Lost,
        Error::DatabaseError(kind, refusal) => Meaning::Refused(Refusal {
            code: code(engine, *kind).to_owned(),
            message: refusal.message().to_owned(),
            constraint: refusal
                .constraint_name()
                .zip(refusal.table_name())
                .map(|(name, table)| (name.to_owned(), table.to_owned())),
        }),
        _ => Meaning::Other,
    };
    LayerError::new(meaning, error)
}

/// One of the codes that diesel has made the kind of. Empty if it has lost the code.
fn code(engine: Engine, kind: DatabaseErrorKind) -> &'static str {
    use DatabaseErrorKind as Kind;
    let [postgres, mysql] = match kind {
        Kind::UniqueViolation => ["23505", "1062"],
        Kind::ForeignKeyViolation => ["23503", "1452"],
        Kind::RestrictViolation => ["23001", ""],
        Kind::ExclusionViolation => ["23P01", ""],
        Kind::NotNullViolation => ["23502", "1048"],
        Kind::CheckViolation => ["23514", "3819"],
        Kind::SerializationFailure => ["40001", "1213"],
        Kind::ReadOnlyTransaction => ["25006", "1792"],
        _ => ["", ""],
    };
    if engine == Engine::MySql { mysql } else { postgres }
}

pub(super) fn of_pool(error: DeadpoolError) -> LayerError {
    let meaning = match &error {
        DeadpoolError::Closed
        | DeadpoolError::NoRuntimeSpecified
        | DeadpoolError::Backend(PoolError::ConnectionError(
            diesel::ConnectionError::InvalidConnectionUrl(_),
        )) => Meaning::CannotConnect,
        _ => Meaning::NoConnection,
    };
    LayerError::new(meaning, error)
}
