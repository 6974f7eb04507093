//! The deadline that a statement carries, on the server's clock.

use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::fault;
use crate::retry::ANSWER_WITHIN;
use crate::server_clock::{NEVER, ServerClock};

const READ_CLOCK: &str = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint";

/// Until when the server may carry out what is sent now, in milliseconds since 1970: as long as its caller waits.
pub(super) async fn of(connection: &mut PgConnection, clock: &ServerClock) -> Result<i64, sqlx::Error> {
    loop {
        if let Some(deadline) = clock.at(Instant::now() + ANSWER_WITHIN) {
            return Ok(i64::try_from(deadline).unwrap_or(i64::MAX));
        }
        let shown: i64 = sqlx::query_scalar(READ_CLOCK).fetch_one(&mut *connection).await?;
        clock.set(u64::try_from(shown).unwrap_or(NEVER));
    }
}

/// Has the clock read again after a statement that came too late by it: it may be that of another server.
pub(super) fn checked<T>(answer: Result<T, sqlx::Error>, clock: &ServerClock) -> Result<T, sqlx::Error> {
    answer.inspect_err(|error| {
        if fault::is_too_late(error) {
            clock.forget();
        }
    })
}
