//! Repeats a request with the same owner after its answer was lost.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long one call may take, all attempts together.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long one attempt over a network waits for its answer. A lost reply never arrives, so waiting longer
/// does not help.
#[cfg(any(test, feature = "mysql", feature = "postgres", feature = "redis", feature = "_layers"))]
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The attempts of one call, including the first.
const MAX_ATTEMPTS: u32 = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(640);

/// What an error of the store says about its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The request may have been carried out: repeat it with the same owner.
    Unanswered,
    /// The request was not carried out and may succeed later, for example after a deadlock or while a server
    /// starts.
    Passing,
    /// The request fails however often it is repeated.
    Permanent,
}

/// Whether a request goes to the store for the first time.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    First,
    /// An earlier attempt may have been carried out, or may still wait at the server.
    Retry,
}

/// The attempts of one call: bounded in number and in time.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    deadline: Instant,
    made: u32,
    max: u32,
    /// Whether an earlier attempt may have been carried out.
    unanswered: bool,
    /// Whether one of those that were counted here may have been carried out.
    has_missed_an_answer: bool,
}

/// Waits for one answer. Without a limit, it waits for as long as that takes.
pub(crate) async fn answer_within<T>(
    limit: Option<Duration>,
    request: impl Future<Output = T>,
) -> Result<T, NoAnswerInTime> {
    match limit {
        Some(limit) => timeout(limit, request).await.map_err(|_| NoAnswerInTime { limit }),
        None => Ok(request.await),
    }
}

/// The answer did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {limit:?}")]
pub(crate) struct NoAnswerInTime {
    limit: Duration,
}

impl NoAnswerInTime {
    pub(crate) fn within(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self {
            deadline: Instant::now() + DEADLINE,
            made: 0,
            max: MAX_ATTEMPTS,
            unanswered: false,
            has_missed_an_answer: false,
        }
    }

    /// Bounded by the deadline alone.
    #[cfg(feature = "redis")]
    pub(crate) fn until_deadline() -> Self {
        Self { max: u32::MAX, ..Self::new() }
    }

    /// A single attempt.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
    pub(crate) fn once() -> Self {
        Self { max: 1, ..Self::new() }
    }

    /// Starts with a first attempt, or continues after an attempt that may have been carried out.
    pub(crate) fn starting_with(attempt: Attempt) -> Self {
        let is_retry = attempt == Attempt::Retry;
        Self { made: u32::from(is_retry), unanswered: is_retry, ..Self::new() }
    }

    /// Continues after an attempt that failed.
    pub(crate) fn after_failed(may_have_been_carried_out: bool) -> Self {
        Self { made: 1, unanswered: may_have_been_carried_out, ..Self::new() }
    }

    /// The kind of the next attempt.
    pub(crate) fn next(&self) -> Attempt {
        if self.made > 0 { Attempt::Retry } else { Attempt::First }
    }

    /// Whether an earlier attempt may have been carried out, now or later.
    // Redis does not need this, because its scripts check the owner every time.
    #[cfg_attr(not(any(feature = "mysql", feature = "postgres", feature = "sqlite")), allow(dead_code))]
    pub(crate) fn may_have_been_carried_out(&self) -> bool {
        self.unanswered
    }

    /// Whether an attempt that was counted here may have been carried out, apart from earlier ones.
    pub(crate) fn has_missed_an_answer(&self) -> bool {
        self.has_missed_an_answer
    }

    /// The moment at which the call fails.
    #[cfg(feature = "redis")]
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The limit, shortened to the deadline.
    pub(crate) fn within(&self, limit: Option<Duration>) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        limit.map(|limit| limit.min(left))
    }

    /// Runs one step of an attempt within this limit and the deadline. Without a limit, the step takes as
    /// long as it needs.
    pub(crate) async fn attempt<T>(
        &self,
        limit: Option<Duration>,
        request: impl Future<Output = T>,
    ) -> Result<T, NoAnswerInTime> {
        answer_within(self.within(limit), request).await
    }

    /// Counts an attempt that failed.
    pub(crate) fn count(&mut self, kind: FaultKind) {
        self.made += 1;
        if kind == FaultKind::Unanswered {
            self.doubt();
        }
    }

    /// The last attempt may have been carried out, whatever it failed with.
    pub(crate) fn doubt(&mut self) {
        self.unanswered = true;
        self.has_missed_an_answer = true;
    }

    /// Counts an attempt that failed, and waits before the next one. Returns `false` if there is no next one.
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

    /// Makes attempts that each take so long and fail in this way. Returns their number and their duration.
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
    async fn without_a_count_attempts_go_on_until_the_deadline() {
        let (made, took) = fail(&mut Attempts::until_deadline(), Duration::ZERO, FaultKind::Passing).await;
        assert!(made > MAX_ATTEMPTS);
        assert!((DEADLINE.saturating_sub(MAX_PAUSE)..=DEADLINE).contains(&took), "{took:?}");
    }

    #[cfg(feature = "redis")]
    #[tokio::test(start_paused = true)]
    async fn a_single_attempt_is_not_repeated() {
        let (made, took) = fail(&mut Attempts::once(), Duration::MAX, FaultKind::Unanswered).await;
        assert_eq!(made, 1);
        assert!((ANSWER_WITHIN..ANSWER_WITHIN * 2).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_error_is_retried_eight_times_with_pauses() {
        let (made, took) = fail(&mut Attempts::new(), Duration::ZERO, FaultKind::Passing).await;
        let pauses = FIRST_PAUSE * (1 + 2 + 4 + 8 + 16 + 32 + 64);
        assert_eq!(made, MAX_ATTEMPTS);
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
    async fn without_a_limit_an_attempt_waits_for_its_answer() {
        let start = Instant::now();
        let answer = Attempts::new().attempt(None, sleep(DEADLINE * 2)).await;
        assert!(answer.is_ok() && start.elapsed() >= DEADLINE * 2);
        let late = Attempts::new().attempt(Some(ANSWER_WITHIN), pending::<()>()).await;
        assert_eq!(late.unwrap_err().to_string(), "no answer within 2s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_stays_in_doubt_whatever_comes_later() {
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
    async fn a_request_that_was_sent_before_has_one_attempt_less() {
        let first = Attempts::new();
        assert!(first.next() == Attempt::First && !first.may_have_been_carried_out());
        let mut later = Attempts::starting_with(Attempt::Retry);
        assert!(later.next() == Attempt::Retry && later.may_have_been_carried_out());
        let (made, _) = fail(&mut later, Duration::ZERO, FaultKind::Passing).await;
        assert_eq!(made, MAX_ATTEMPTS - 1);
        let mut not_before = Attempts::starting_with(Attempt::First);
        assert!(not_before.next() == Attempt::First && !not_before.may_have_been_carried_out());
        not_before.count(FaultKind::Passing);
        assert!(not_before.next() == Attempt::Retry && !not_before.may_have_been_carried_out());
    }
}
