//! The pauses and the log of a worker whose store cannot be reached.

use std::time::Duration;

use tokio::time::Instant;

use super::trace;
use crate::error::Error;
use crate::inbox::backoff::random_part_of;

const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// An outage may last for hours. The worker goes on at most this long after its end.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// The time between two lines in the log during an outage.
const LOGGED_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    until: Option<Instant>,
    logged: Option<Instant>,
}

impl Outage {
    /// No take before this.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// A take has failed. Returns when to try again.
    pub(super) fn failed(&mut self, error: &Error) -> Instant {
        let now = Instant::now();
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures)).min(MAX_PAUSE);
        let pause = pause / 2 + random_part_of(pause / 2);
        self.failures = self.failures.saturating_add(1);
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= LOGGED_EVERY) {
            self.logged = Some(now);
            trace::unreachable(error, self.failures, pause);
        }
        self.until = Some(now + pause);
        now + pause
    }

    /// A take has succeeded.
    pub(super) fn over(&mut self) {
        if self.failures > 0 {
            trace::reachable(self.failures);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_their_bound_and_begin_anew_after_a_success() {
        let mut outage = Outage::default();
        let error = Error::store("take events", "no route to host");
        let mut pause = || outage.failed(&error).duration_since(Instant::now());
        assert!(pause() <= FIRST_PAUSE);
        let last = (0..100).map(|_| pause()).last().unwrap();
        assert!((MAX_PAUSE / 2..=MAX_PAUSE).contains(&last), "{last:?}");
        outage.over();
        assert_eq!(outage.until(), None);
        assert!(outage.failed(&error).duration_since(Instant::now()) <= FIRST_PAUSE);
    }
}
