//! One script, sent until there is an answer or the call's deadline has passed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, ToRedisArgs};
use tokio::time::{Instant, sleep_until, timeout};

use super::script::Script;
use super::undelivered::{Made, TakeBack};
use super::{RedisLog, fault};
use crate::error::Error;
use crate::owner::Owner;
use crate::retry::{ANSWER_WITHIN, Attempts, FaultKind, NoAnswerInTime};
use crate::server_clock::NEVER;

/// A script and what it is about.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) operation: &'static str,
    pub(super) script: &'static Script,
    pub(super) event_id: &'r str,
    pub(super) when: When,
}

/// Until when the server may carry a script out, and what becomes of one whose answer is lost.
#[derive(Clone, Copy)]
pub(super) enum When {
    /// A mark or a claim: before the call's deadline. If the call fails, what it made is taken back.
    TakenBack(Owner, Made),
    /// A renewal: before the call's deadline. A lease that was prolonged for a caller that gave up runs out.
    BeforeDeadline,
    /// Completing or releasing: whenever. It remains true, and the fencing token keeps it off a later claim.
    AtAnyTime,
}

/// What a script returned: its outcome, and a number that belongs to it.
pub(super) type Answer = (i64, u64);

/// A mark or a claim that its caller has not heard of. Dropped like that, it is taken back.
struct InDoubt<'l, C: ConnectionLike + Clone + Send + Sync + 'static> {
    log: &'l RedisLog<C>,
    take_back: Option<TakeBack>,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Drop for InDoubt<'_, C> {
    fn drop(&mut self) {
        // Before the server's clock is known, no script is carried out.
        if let Some(take_back) = self.take_back.take().filter(|made| made.deadline > 0) {
            self.log.shared.undelivered.take_back(&self.log.connection, take_back);
        }
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    pub(super) async fn send(
        &self,
        mut attempts: Attempts,
        request: Request<'_>,
        arguments: impl ToRedisArgs + Copy + Send,
    ) -> Result<Answer, Error> {
        let Request { operation, script, event_id, when } = request;
        let key = [&*self.key_prefix, event_id.as_bytes()].concat();
        let mut in_doubt = InDoubt {
            log: self,
            take_back: match when {
                When::TakenBack(owner, made) => Some(TakeBack {
                    key: key.clone(),
                    owner,
                    made,
                    deadline: 0,
                    passes_at: attempts.deadline(),
                    remembered_for: self.retention,
                }),
                When::BeforeDeadline | When::AtAnyTime => None,
            },
        };
        loop {
            let known = match when {
                When::AtAnyTime => Some(NEVER),
                When::TakenBack(..) | When::BeforeDeadline => self.shared.clock.at(attempts.deadline()),
            };
            let deadline = known.unwrap_or(0);
            if let Some(take_back) = &mut in_doubt.take_back {
                take_back.deadline = take_back.deadline.max(deadline);
            }
            let run = script.run(self.connection.clone(), &key, (deadline, arguments));
            let error = match flatten(attempts.attempt(Some(ANSWER_WITHIN), run).await) {
                Ok((outcome, number, now)) => {
                    self.shared.clock.set(now);
                    if outcome >= 0 {
                        in_doubt.take_back = None;
                        return Ok((outcome, number));
                    }
                    if known.is_none() {
                        continue;
                    }
                    too_late()
                }
                Err(error) => error,
            };
            self.leave_replica(&error).await;
            let kind = fault::kind_of(&error);
            if !attempts.again_after(kind).await {
                if !attempts.may_have_been_carried_out() {
                    in_doubt.take_back = None;
                } else if kind != FaultKind::Permanent {
                    // After this, the server does not carry it out, so that the error is true when it is answered.
                    sleep_until(attempts.deadline()).await;
                }
                return Err(fault::explain(operation, error));
            }
        }
    }

    /// Asks without a script: reads only.
    pub(super) async fn read<T>(
        &self,
        attempts: &mut Attempts,
        ask: impl AsyncFn(C) -> RedisResult<T>,
    ) -> Result<T, RedisError> {
        loop {
            let asked = attempts.attempt(Some(ANSWER_WITHIN), ask(self.connection.clone())).await;
            let error = match flatten(asked) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !attempts.again_after(fault::kind_of(&error)).await {
                return Err(error);
            }
        }
    }

    /// Has the server close a connection that leads to a replica.
    ///
    /// After a failover the name may lead elsewhere, but a connection that is open stays where it is. One that
    /// reconnects, such as a `ConnectionManager`, resolves the name again after this.
    async fn leave_replica(&self, error: &RedisError) {
        if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) && self.shared.leaving.is_due() {
            let mut connection = self.connection.clone();
            let quit = redis::cmd("QUIT");
            drop(timeout(LEAVE_WITHIN, quit.query_async::<()>(&mut connection)).await);
        }
    }
}

const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// When a replica was left last. Many calls learn at the same moment that it is one; if each left, the later ones
/// would close the connection that the first one brought.
#[derive(Debug, Default)]
pub(super) struct Leaving(Mutex<Option<Instant>>);

impl Leaving {
    fn is_due(&self) -> bool {
        let mut left_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = left_at.is_none_or(|left_at| left_at.elapsed() > LEAVE_WITHIN);
        if is_due {
            *left_at = Some(Instant::now());
        }
        is_due
    }
}

fn flatten<T>(answer: Result<RedisResult<T>, NoAnswerInTime>) -> RedisResult<T> {
    answer.unwrap_or_else(|unanswered| Err(fault::timed_out(unanswered)))
}

fn too_late() -> RedisError {
    (ErrorKind::Server(ServerErrorKind::TryAgain), "the server ran the script after the call's deadline")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_carried_out_in_time_may_be_the_next_time() {
        assert_eq!(fault::kind_of(&too_late()), FaultKind::Passing);
    }
}
