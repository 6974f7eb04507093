//! Asking a store again, with the same owner, when its answer was lost.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long one call asks its store, all attempts together.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long one attempt waits for its answer, over a network. A reply that was lost on the way never
/// comes.
#[cfg(any(test, feature = "mysql", feature = "postgres", feature = "redis"))]
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Attempts of one call, the first included.
const ATTEMPTS: u32 = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(640);

/// What an error says of the statement that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// It may have been carried out or not: ask again with the same owner.
    Unanswered,
    /// It was not carried out, and may be the next time: a deadlock, a server that is starting.
    Passing,
    /// It will not be carried out, however often it is asked.
    Permanent,
}

/// The attempts of one call: bounded in number and in time.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    deadline: Instant,
    made: u32,
    max: u32,
    /// Whether an earlier attempt may have been carried out.
    unanswered: bool,
}

/// Waits for one answer. `None`: for as long as it takes.
pub(crate) async fn answer<T>(
    within: Option<Duration>,
    asked: impl Future<Output = T>,
) -> Result<T, Unanswered> {
    match within {
        Some(within) => timeout(within, asked).await.map_err(|_| Unanswered { within }),
        None => Ok(asked.await),
    }
}

/// The answer did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {within:?}")]
pub(crate) struct Unanswered {
    within: Duration,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { deadline: Instant::now() + DEADLINE, made: 0, max: ATTEMPTS, unanswered: false }
    }

    /// Bounded by the deadline alone.
    #[cfg(feature = "redis")]
    pub(crate) fn until_deadline() -> Self {
        Self { max: u32::MAX, ..Self::new() }
    }

    /// A single one.
    #[cfg(feature = "redis")]
    pub(crate) fn once() -> Self {
        Self { max: 1, ..Self::new() }
    }

    /// `again`: it was asked before, and may have been carried out.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn after(again: bool) -> Self {
        Self { made: u32::from(again), unanswered: again, ..Self::new() }
    }

    /// Whether there was an earlier attempt. It may have been carried out, or may still wait for a lock.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn is_again(&self) -> bool {
        self.made > 0
    }

    /// Whether an earlier attempt may have been carried out, now or later.
    // Redis needs not ask: its scripts look at the owner every time.
    #[cfg_attr(not(any(feature = "mysql", feature = "postgres", feature = "sqlite")), allow(dead_code))]
    pub(crate) fn may_have_been_carried_out(&self) -> bool {
        self.unanswered
    }

    /// When the call is answered with an error.
    #[cfg(feature = "redis")]
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How much of this time there is before the deadline.
    pub(crate) fn within(&self, within: Option<Duration>) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        within.map(|within| within.min(left))
    }

    /// One step of an attempt, for no longer than an answer is waited for, where it can be lost.
    pub(crate) async fn attempt<T>(
        &self,
        within: Option<Duration>,
        asked: impl Future<Output = T>,
    ) -> Result<T, Unanswered> {
        answer(self.within(within), asked).await
    }

    /// An attempt failed.
    pub(crate) fn count(&mut self, kind: FaultKind) {
        self.made += 1;
        self.unanswered |= kind == FaultKind::Unanswered;
    }

    /// Counts an attempt that failed, and waits before the next one. `false`: there is none, answer with the
    /// error.
    pub(crate) async fn again_after(&mut self, kind: FaultKind) -> bool {
        self.count(kind);
        let pause =
            FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.made.saturating_sub(1))).min(MAX_PAUSE);
        if kind == FaultKind::Permanent || self.made >= self.max || Instant::now() + pause >= self.deadline {
            return false;
        }
        sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Attempts that take so long and fail like that: how many there are, and how long they take.
    async fn fail(attempts: &mut Attempts, each: Duration, kind: FaultKind) -> (u32, Duration) {
        let start = Instant::now();
        let mut made = 0;
        loop {
            drop(attempts.attempt(Some(ANSWER_WITHIN), sleep(each)).await);
            made += 1;
            if !attempts.again_after(kind).await {
                return (made, start.elapsed());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_error_is_answered_at_once() {
        let failed = fail(&mut Attempts::new(), Duration::ZERO, FaultKind::Permanent).await;
        assert_eq!(failed, (1, Duration::ZERO));
    }

    #[cfg(feature = "redis")]
    #[tokio::test(start_paused = true)]
    async fn a_single_attempt_is_not_repeated() {
        let (made, took) = fail(&mut Attempts::once(), Duration::MAX, FaultKind::Unanswered).await;
        assert_eq!(made, 1);
        assert!((ANSWER_WITHIN..ANSWER_WITHIN * 2).contains(&took), "{took:?}");
    }

    #[cfg(feature = "redis")]
    #[tokio::test(start_paused = true)]
    async fn without_a_count_attempts_go_on_until_the_deadline() {
        let (made, took) = fail(&mut Attempts::until_deadline(), Duration::ZERO, FaultKind::Passing).await;
        assert!(made > ATTEMPTS);
        assert!((DEADLINE.saturating_sub(MAX_PAUSE)..=DEADLINE).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_asked_eight_times_with_pauses_that_double() {
        let (made, took) = fail(&mut Attempts::new(), Duration::ZERO, FaultKind::Passing).await;
        let pauses = FIRST_PAUSE * (1 + 2 + 4 + 8 + 16 + 32 + 64);
        assert_eq!(made, ATTEMPTS);
        // Tokio's timers count whole milliseconds, and round up.
        assert!((pauses..pauses + Duration::from_millis(10)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_never_answers_is_given_up_at_the_deadline() {
        let (made, took) = fail(&mut Attempts::new(), Duration::MAX, FaultKind::Unanswered).await;
        assert!(took <= DEADLINE + Duration::from_millis(10), "{took:?}");
        assert!(took + ANSWER_WITHIN > DEADLINE, "{took:?}");
        assert_eq!(made, 5, "each of them waits for its answer, but for the last");
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_answer_can_be_lost_an_attempt_waits_as_long_as_it_takes() {
        let start = Instant::now();
        let answer = Attempts::new().attempt(None, sleep(DEADLINE * 2)).await;
        assert!(answer.is_ok() && start.elapsed() >= DEADLINE * 2);
        let late = Attempts::new().attempt(Some(ANSWER_WITHIN), pending::<()>()).await;
        assert_eq!(late.unwrap_err().to_string(), "no answer within 2s");
    }

    #[tokio::test(start_paused = true)]
    async fn once_unanswered_it_may_have_been_carried_out_whatever_comes_later() {
        let mut attempts = Attempts::new();
        assert!(!attempts.may_have_been_carried_out());
        assert!(attempts.again_after(FaultKind::Passing).await);
        assert!(!attempts.may_have_been_carried_out());
        assert!(attempts.again_after(FaultKind::Unanswered).await);
        assert!(attempts.again_after(FaultKind::Passing).await);
        assert!(attempts.may_have_been_carried_out());
    }

    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    #[tokio::test(start_paused = true)]
    async fn what_was_asked_before_is_asked_again_and_once_less() {
        let first = Attempts::new();
        assert!(!first.is_again() && !first.may_have_been_carried_out());
        let mut later = Attempts::after(true);
        assert!(later.is_again() && later.may_have_been_carried_out());
        let (made, _) = fail(&mut later, Duration::ZERO, FaultKind::Passing).await;
        assert_eq!(made, ATTEMPTS - 1);
        let mut not_before = Attempts::after(false);
        assert!(!not_before.is_again() && !not_before.may_have_been_carried_out());
        not_before.count(FaultKind::Passing);
        assert!(not_before.is_again() && !not_before.may_have_been_carried_out());
    }
}
