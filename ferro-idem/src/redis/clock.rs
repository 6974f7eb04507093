//! The server's clock, as far as its answers tell.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// A deadline that no script meets, in milliseconds on the server's clock: the largest exact number in Lua.
pub(super) const NEVER: u64 = (1 << 53) - 1;

/// What the server's clock showed in its last answer.
///
/// Every script carries its deadline on the server's clock, so that a server that stood still does not carry it out
/// after its caller was answered with an error. Nodes of a cluster have clocks of their own. That they differ by
/// less than a call's 10 seconds is enough: a script that arrives "too late" is sent again, with what that node's
/// clock shows.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Milliseconds since 1970.
    shown: u64,
    read_at: Instant,
}

impl ServerClock {
    /// An answer has just arrived, in which the clock showed this.
    pub(super) fn set(&self, shown: u64) {
        let reading = Reading { shown, read_at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }

    /// What the server's clock shows at this moment at the earliest, so that a script that runs before that was sent
    /// by a call that has not failed yet. `None`: the server has not answered yet.
    pub(super) fn at(&self, moment: Instant) -> Option<u64> {
        let Reading { shown, read_at } = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let later = moment.saturating_duration_since(read_at);
        Some(shown.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)).min(NEVER))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert_eq!(clock.at(deadline + Duration::MAX / 4), Some(NEVER));
    }
}
