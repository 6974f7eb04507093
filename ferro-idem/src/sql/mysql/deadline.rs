//! The deadline of a statement, by this database's clock.

use sqlx::mysql::MySqlConnection;

use super::fault;
use crate::server_clock::ServerClock;
use crate::sql::deadline;

const READ_CLOCK: &str = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000";

pub(crate) async fn of(connection: &mut MySqlConnection, clock: &ServerClock) -> Result<i64, sqlx::Error> {
    deadline::of(clock, sqlx::query_scalar(READ_CLOCK).fetch_one(connection)).await
}

pub(crate) fn checked<T>(answer: Result<T, sqlx::Error>, clock: &ServerClock) -> Result<T, sqlx::Error> {
    deadline::checked(answer, clock, fault::is_too_late)
}
