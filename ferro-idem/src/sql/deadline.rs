//! The deadline that a statement carries, on the server's clock.

use std::future::Future;

use tokio::time::Instant;

use crate::retry::ANSWER_WITHIN;
use crate::server_clock::{NEVER, ServerClock};

/// Until when the server may carry out what is sent now, in milliseconds since 1970: as long as its caller waits.
/// `read_clock` is only run if the server's clock is not known.
pub(super) async fn of(
    clock: &ServerClock,
    read_clock: impl Future<Output = Result<i64, sqlx::Error>>,
) -> Result<i64, sqlx::Error> {
    let deadline = match clock.at(Instant::now() + ANSWER_WITHIN) {
        Some(deadline) => deadline,
        None => clock.set(u64::try_from(read_clock.await?).unwrap_or(NEVER)).after(ANSWER_WITHIN),
    };
    Ok(i64::try_from(deadline).unwrap_or(i64::MAX))
}

/// Has the clock read again after a statement that came too late by it: it may be that of another server.
pub(super) fn checked<T>(
    answer: Result<T, sqlx::Error>,
    clock: &ServerClock,
    is_too_late: impl Fn(&sqlx::Error) -> bool,
) -> Result<T, sqlx::Error> {
    answer.inspect_err(|error| {
        if is_too_late(error) {
            clock.forget();
        }
    })
}
