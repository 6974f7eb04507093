//! The deadline of a statement, by this database's clock.

use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::fault;
use crate::server_clock::ServerClock;
use crate::sql::deadline;

const READ_CLOCK: &str = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint";

pub(crate) async fn of(connection: &mut PgConnection, clock: &ServerClock) -> Result<i64, sqlx::Error> {
    let read = async { sqlx::raw_sql(READ_CLOCK).fetch_one(connection).await?.try_get(0) };
    deadline::of(clock, read).await
}

pub(crate) fn checked<T>(answer: Result<T, sqlx::Error>, clock: &ServerClock) -> Result<T, sqlx::Error> {
    deadline::checked(answer, clock, fault::is_too_late)
}
