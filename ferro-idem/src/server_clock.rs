//! The clock of a log's server, as far as its answers tell.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A deadline that does not pass, in milliseconds since 1970: the largest exact number in Lua.
pub(crate) const NEVER: u64 = (1 << 53) - 1;

/// What the server's clock showed in its last answer.
///
/// Requests carry a deadline on the server's clock. A server that stood still, or a statement that waited for a lock,
/// is then not carried out after its caller was answered with an error. The reading may be of another server, after a
/// failover or in a cluster: a request that arrives "too late" by the clock of its own server is sent again, after
/// that clock was read.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Reading>>);

/// How long a reading counts: clocks are set, and servers fail over.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Milliseconds since 1970.
    shown: u64,
    read_at: Instant,
}

impl ServerClock {
    /// Keeps a reading that has just arrived.
    pub(crate) fn set(&self, shown: u64) -> Reading {
        let reading = Reading { shown, read_at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        reading
    }

    /// Has the clock read again before the next request.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What the server's clock shows at this moment, at the earliest. A request that is carried out before that belongs
    /// to a call that has not failed yet. `None`: the clock has to be read first.
    pub(crate) fn at(&self, moment: Instant) -> Option<u64> {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = reading.filter(|reading| reading.read_at.elapsed() < READ_AGAIN_AFTER)?;
        Some(reading.after(moment.saturating_duration_since(reading.read_at)))
    }
}

impl Reading {
    /// What the clock shows so long after it was read.
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
