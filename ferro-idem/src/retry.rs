//! Asking a store again, with the same nonce, when its answer was lost.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long one call asks its store, all attempts together.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long one attempt waits for its answer, over a network. A reply that was lost on the way never
/// comes.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Attempts of one call, the first included.
const ATTEMPTS: u32 = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// What an error says of the statement that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It may have been carried out or not: ask again with the same nonce.
    Unanswered,
    /// It was not carried out, and may be the next time: a deadlock, a server that is starting.
    Passing,
    /// It will not be carried out, however often it is asked.
    Permanent,
}

/// The attempts of one call: bounded in number and in time.
#[derive(Debug)]
pub(crate) struct Attempts {
    deadline: Instant,
    made: u32,
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
        Self { deadline: Instant::now() + DEADLINE, made: 0, unanswered: false }
    }

    /// `unanswered`: it was asked before, and may have been carried out.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn after(unanswered: bool) -> Self {
        Self { unanswered, ..Self::new() }
    }

    /// Whether an earlier attempt may have been carried out: "it is there" can then mean "by me".
    // Redis needs not ask: its scripts look at the nonce every time.
    #[cfg_attr(not(any(feature = "mysql", feature = "postgres", feature = "sqlite")), allow(dead_code))]
    pub(crate) fn may_have_been_carried_out(&self) -> bool {
        self.unanswered
    }

    /// One step of an attempt, for no longer than an answer is waited for, where it can be lost.
    pub(crate) async fn attempt<T>(
        &self,
        within: Option<Duration>,
        asked: impl Future<Output = T>,
    ) -> Result<T, Unanswered> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        answer(within.map(|within| within.min(left)), asked).await
    }

    /// Waits before the next attempt. `false`: there is none, answer with the error.
    pub(crate) async fn again_after(&mut self, cause: Cause) -> bool {
        self.made += 1;
        self.unanswered |= cause == Cause::Unanswered;
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.made.saturating_sub(1));
        if cause == Cause::Permanent || self.made >= ATTEMPTS || Instant::now() + pause >= self.deadline {
            return false;
        }
        sleep(pause).await;
        true
    }
}
