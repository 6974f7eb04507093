//! The clock of a log's server, as read from its answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A deadline that does not pass, in milliseconds since 1970: the largest exact number in Lua.
pub(crate) const NEVER: u64 = (1 << 53) - 1;

/// What the server's clock showed in its last answer.
///
/// Requests carry a deadline on the server's clock. If the server was stopped, or if a statement waited for a
/// lock, the request is not carried out after its caller got an error. After a failover, or in a cluster, the
/// reading may be from another server. If a request is refused as too late, the clock is read again, and the
/// request is sent again.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Reading>>);

/// How long a reading is used. Clocks are adjusted, and servers fail over.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Milliseconds since 1970.
    shown: u64,
    read_at: Instant,
}

impl ServerClock {
    /// Stores a reading that has just arrived.
    pub(crate) fn set(&self, shown: u64) -> Reading {
        let reading = Reading { shown, read_at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        reading
    }

    /// Forces a new reading before the next request.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The earliest time that the server's clock can show at this moment. If a request is carried out before
    /// that time, its call has not failed yet. Returns `None` if the clock has to be read first.
    pub(crate) fn at(&self, moment: Instant) -> Option<u64> {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = reading.filter(|reading| reading.read_at.elapsed() < READ_AGAIN_AFTER)?;
        Some(reading.after(moment.saturating_duration_since(reading.read_at)))
    }
}

impl Reading {
    /// The time that the clock shows so long after it was read.
    pub(crate) fn after(self, later: Duration) -> u64 {
        self.shown.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)).min(NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_counted_from_the_last_answer() {
        let clock = ServerClock::default();
        assert_eq!(clock.at(Instant::now()), None);
        clock.set(1_000);
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(clock.at(deadline), Some(11_000));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.at(deadline), Some(11_000));
        assert_eq!(clock.at(deadline + Duration::from_hours(24 * 365 * 500_000)), Some(NEVER));
        tokio::time::advance(READ_AGAIN_AFTER).await;
        assert_eq!(clock.at(deadline), None);
    }
}
