//! How long an event waits after an attempt that failed.

use std::ops::Range;
use std::time::Duration;

/// Shorter pauses would turn a failing handler into a busy loop.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// An event is kept in the inbox while it waits, so a pause may be long, but not so long that it looks lost.
const MAX_PAUSE: Duration = Duration::from_hours(30 * 24);

/// How long an event waits after an attempt that failed.
///
/// Pauses are drawn at random between the first pause and a bound that doubles with each attempt ("full jitter" above
/// the first pause, <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), so that events that
/// failed together do not come back together.
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::inbox::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1)..Duration::from_secs(3600));
/// let pause = backoff.pause(1);
/// assert!(Duration::from_secs(1) <= pause && pause <= Duration::from_secs(2));
/// let pause = backoff.pause(u32::MAX);
/// assert!(Duration::from_secs(1) <= pause && pause <= Duration::from_secs(3600));
///
/// assert_eq!(Backoff::constant(Duration::from_secs(30)).pause(7), Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses between the two ends of the range: about the first one after the first attempt, and never longer than
    /// the second one.
    ///
    /// Bounds are raised to 1 ms and cut to 30 days. In a range whose end is before its start, every pause is as long
    /// as the start.
    pub fn exponential(pauses: Range<Duration>) -> Self {
        let first = pauses.start.clamp(MIN_PAUSE, MAX_PAUSE);
        Self { first, longest: pauses.end.clamp(first, MAX_PAUSE) }
    }

    /// The same pause after every attempt, within the bounds of [`exponential`](Self::exponential).
    pub fn constant(pause: Duration) -> Self {
        Self::exponential(pause..pause)
    }

    /// Draws the pause after this attempt, which is counted from 1.
    pub fn pause(&self, attempt: u32) -> Duration {
        let doubled =
            2_u32.checked_pow(attempt).map_or(Duration::MAX, |factor| self.first.saturating_mul(factor));
        let bound = doubled.min(self.longest);
        self.first + random_part_of(bound.saturating_sub(self.first))
    }

    /// The pause after a reply that says when to come again. A little is added, because the other events of the same
    /// outage were told the same.
    pub(super) fn pause_of_reply(&self, retry_after: Duration) -> Duration {
        let told = retry_after.clamp(self.first, MAX_PAUSE);
        (told + random_part_of(told / 10)).min(MAX_PAUSE)
    }
}

/// From 1 second to 1 hour. With 12 attempts, an event is tried for at least 12 minutes and for about 3 hours on
/// average.
impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1)..Duration::from_hours(1))
    }
}

/// A random duration between zero and this one. Without random numbers, half of it.
pub(super) fn random_part_of(whole: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        let backoff = Backoff::exponential(SECOND..60 * SECOND);
        for (attempt, most) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (u32::MAX, 60)] {
            for _ in 0..100 {
                let pause = backoff.pause(attempt);
                assert!((SECOND..=most * SECOND).contains(&pause), "attempt {attempt}: {pause:?}");
            }
        }
    }

    #[test]
    fn pauses_of_one_attempt_differ() {
        let backoff = Backoff::default();
        let first = backoff.pause(8);
        assert!((0..20).any(|_| backoff.pause(8) != first));
    }

    #[test]
    fn bounds_that_make_no_sense_are_put_right() {
        let zero = Backoff::exponential(Duration::ZERO..Duration::ZERO);
        assert_eq!(zero.pause(1), MIN_PAUSE);
        let reversed = Backoff::exponential(60 * SECOND..SECOND);
        assert_eq!(reversed.pause(3), 60 * SECOND);
        let endless = Backoff::exponential(Duration::MAX..Duration::MAX);
        assert_eq!(endless.pause(u32::MAX), MAX_PAUSE);
        assert_eq!(Backoff::constant(Duration::MAX).pause(0), MAX_PAUSE);
    }

    #[test]
    fn a_reply_that_says_when_is_followed_within_bounds() {
        let backoff = Backoff::exponential(SECOND..60 * SECOND);
        let pause = backoff.pause_of_reply(100 * SECOND);
        assert!((100 * SECOND..=110 * SECOND).contains(&pause), "longer than the backoff's own: {pause:?}");
        let pause = backoff.pause_of_reply(Duration::ZERO);
        assert!((SECOND..=2 * SECOND).contains(&pause), "no busy loop: {pause:?}");
        assert_eq!(backoff.pause_of_reply(Duration::MAX), MAX_PAUSE);
    }
}
