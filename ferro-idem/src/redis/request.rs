//! Sends one script until it is answered or the call's deadline has passed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, ToRedisArgs, Value};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::gate::{Lane, Over, Turn};
use super::in_doubt::{Copies, InDoubt, UndeliveredAnswer};
use super::script::{Answer, Script};
use super::undelivered::{Made, TakeBack};
use super::{RedisLog, fault};
use crate::detach_on_drop::is_detached;
use crate::error::Error;
use crate::owner::Owner;
use crate::retry::{ANSWER_WITHIN, Attempts, DEADLINE, FaultKind, NoAnswerInTime};
use crate::server_clock::NEVER;

/// A script, the event that it is about, and the rules for sending it.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) operation: &'static str,
    pub(super) script: &'static Script,
    pub(super) event_id: &'r str,
    pub(super) when: When,
}

/// Until when the server may execute a script, and what happens if its answer is lost.
#[derive(Clone, Copy)]
pub(super) enum When {
    /// A mark or a claim: until the call's deadline. If the call fails, what it made is taken back.
    TakenBack(Owner, Made),
    /// A renewal: until the call's deadline. A lease that was renewed for a caller that gave up runs out.
    BeforeDeadline,
    /// A completion or release: at any time. It is still true later, and the fencing token protects later claims.
    AtAnyTime,
}

impl When {
    /// Whether no caller waits for the answer, so that no further attempt is sent.
    fn is_over(self) -> bool {
        matches!(self, Self::TakenBack(..)) && is_detached()
    }
}

/// After this time, the client may have resent a request by itself. redis-rs does so on a cluster, after 500 ms by
/// default.
const RESENT_AFTER: Duration = Duration::from_millis(100);

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// Sends a script whose effect never has to be taken back after its answer.
    pub(super) async fn send(
        &self,
        attempts: Attempts,
        request: Request<'_>,
        arguments: impl ToRedisArgs + Copy + Send,
    ) -> Result<Answer, Error> {
        Ok(self.send_undelivered(attempts, request, arguments).await?.deliver())
    }

    pub(super) async fn send_undelivered(
        &self,
        mut attempts: Attempts,
        request: Request<'_>,
        arguments: impl ToRedisArgs + Copy + Send,
    ) -> Result<UndeliveredAnswer<C>, Error> {
        let Request { operation, script, event_id, when } = request;
        let key = self.key(event_id);
        let keys =
            if script.has_reply { vec![key.clone(), self.reply_key(event_id)] } else { vec![key.clone()] };
        let lane = self.shared.gate.lane(&key);
        let take_back = match when {
            When::TakenBack(owner, made) => Some(TakeBack {
                key: key.clone(),
                owner,
                made,
                deadline: 0,
                passes_at: attempts.deadline(),
                remembered_for: self.retention,
                is_looked_for: false,
            }),
            When::BeforeDeadline | When::AtAnyTime => None,
        };
        let mut in_doubt = InDoubt::new(self, take_back);
        if let When::TakenBack(_, Made::Mark) = when {
            let is_looked_for = self.shared.undelivered.until_looked_for(&key, || when.is_over());
            // If the deadline passes here, nothing was sent.
            if let Err(unanswered) = attempts.attempt(Some(DEADLINE), is_looked_for).await {
                return Err(fault::explain(operation, fault::timed_out(unanswered)));
            }
        }
        loop {
            let entered = match when {
                When::TakenBack(..) if !self.shared.undelivered.has_room(self) => Err(too_many_undelivered()),
                _ => self.enter(lane, &key, &attempts, when).await,
            };
            let (error, kind) = match entered {
                Err(not_sent) => (not_sent, FaultKind::Passing),
                Ok(permit) => {
                    let known = match when {
                        When::AtAnyTime => Some(NEVER),
                        When::TakenBack(..) | When::BeforeDeadline => {
                            self.shared.clock.at(attempts.deadline())
                        }
                    };
                    let deadline = known.unwrap_or(0);
                    in_doubt.send_until(deadline);
                    let sent_at = Instant::now();
                    let run = script.run(self.connection.clone(), &keys, (deadline, arguments));
                    let answer = flatten(attempts.attempt(Some(ANSWER_WITHIN), run).await);
                    drop(permit);
                    let error = match answer {
                        Ok((outcome, number, now)) => {
                            lane.hear();
                            self.shared.undelivered.hear();
                            self.shared.clock.set(now);
                            if outcome >= 0 {
                                let copies = if attempts.may_have_been_carried_out() {
                                    Copies::More
                                } else if sent_at.elapsed() < RESENT_AFTER {
                                    Copies::One
                                } else {
                                    Copies::MaybeMore
                                };
                                return Ok(in_doubt.answer((outcome, number), now, copies));
                            }
                            if known.is_none() {
                                continue;
                            }
                            too_late()
                        }
                        Err(error) => error,
                    };
                    let kind = fault::kind_of(&error);
                    if kind == FaultKind::Unanswered {
                        lane.miss();
                    } else {
                        lane.hear();
                    }
                    (error, kind)
                }
            };
            self.leave_replica(&error).await;
            if !attempts.again_after(kind).await || when.is_over() {
                if !attempts.may_have_been_carried_out() {
                    in_doubt.is_not_made();
                } else if kind != FaultKind::Permanent && !when.is_over() {
                    // After the deadline the server does not execute the script, so the error is final.
                    sleep_until(attempts.deadline()).await;
                }
                return Err(fault::explain(operation, error));
            }
        }
    }

    /// Waits until a script may be sent. If this fails, nothing was sent that changes anything.
    async fn enter<'l>(
        &self,
        lane: &'l Lane,
        key: &[u8],
        attempts: &Attempts,
        when: When,
    ) -> RedisResult<SemaphorePermit<'l>> {
        let until_entered = async {
            loop {
                match lane.enter(|| when.is_over()).await {
                    Ok(Turn::Request(permit)) => return Ok(permit),
                    Ok(Turn::Probe) if self.answers(key).await => lane.hear(),
                    Ok(Turn::Probe) => {}
                    Err(Over) => return Err(not_sent("its caller is gone")),
                }
            }
        };
        flatten(attempts.attempt(Some(DEADLINE), until_entered).await)
    }

    async fn answers(&self, key: &[u8]) -> bool {
        let mut connection = self.connection.clone();
        let mut exists = redis::cmd("EXISTS");
        match timeout(ANSWER_WITHIN, exists.arg(key).query_async::<Value>(&mut connection)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => fault::kind_of(&error) != FaultKind::Unanswered,
            Err(_) => false,
        }
    }

    /// Sends a command that only reads, without a script.
    pub(super) async fn read<T, F: Future<Output = RedisResult<T>> + Send>(
        &self,
        attempts: &mut Attempts,
        ask: impl Fn(C) -> F + Send,
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

    /// Makes the server close a connection that leads to a replica.
    ///
    /// After a failover the server's name may resolve to another address, but an open connection stays where it is. A
    /// connection that reconnects, such as a `ConnectionManager`, then resolves the name again.
    pub(super) async fn leave_replica(&self, error: &RedisError) {
        if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) && self.shared.leaving.is_due() {
            let mut connection = self.connection.clone();
            let quit = redis::cmd("QUIT");
            drop(timeout(LEAVE_WITHIN, quit.query_async::<()>(&mut connection)).await);
        }
    }
}

const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// When a replica was last left. Many calls notice a replica at the same moment. If each of them closed the connection,
/// the later ones would close the new connection.
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

fn too_many_undelivered() -> RedisError {
    not_sent("too many marks and claims have to be taken back first")
}

fn not_sent(why: &'static str) -> RedisError {
    (ErrorKind::Client, why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_carried_out_in_time_may_be_the_next_time() {
        assert_eq!(fault::kind_of(&too_late()), FaultKind::Passing);
    }
}
