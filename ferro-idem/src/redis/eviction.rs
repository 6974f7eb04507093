//! Checks that servers evict no keys: a log loses marks on a server whose `maxmemory-policy` is not
//! `noeviction`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{RedisLog, Shared, fault, slot};
use crate::error::Error;
use crate::retry::{Attempts, DEADLINE, FaultKind};

/// How long an answer is used. A setting can change while a server runs, and a failover or a new node brings
/// a server that was not checked.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);

const OPERATION: &str = "make sure that the server forgets no event";

/// The check that the servers evict no keys. One check runs at a time, and all calls wait for its answer.
#[derive(Default)]
pub(super) struct PolicyCheck(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the servers last answered that they evict no keys.
    passed_at: Option<Instant>,
    running: Option<watch::Receiver<Option<Result<(), Refusal>>>>,
}

/// The reason why a log does not use the server. It is cloned for each call that waits for the answer.
#[derive(Clone, Debug)]
enum Refusal {
    Evicts(String),
    SaysNothing,
    Failed(RedisError),
}

impl State {
    fn is_recent(&self) -> bool {
        self.passed_at.is_some_and(|passed_at| passed_at.elapsed() < ASK_AGAIN_AFTER)
    }
}

impl PolicyCheck {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("maxmemory-policy is {0:?}")]
struct Evicts(String);

#[derive(Debug, thiserror::Error)]
#[error("the server did not say what its maxmemory-policy is")]
struct Unknown;

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    pub(super) async fn refuse_eviction(&self, attempts: &Attempts) -> Result<(), Error> {
        if self.accepts_eviction {
            return Ok(());
        }
        // If a check ends without an answer, its runtime has shut down.
        for _ in 0..MAX_CHECKS {
            let Some(mut running) = self.check_running() else { return Ok(()) };
            let answer = async { running.wait_for(Option::is_some).await.ok()?.clone() };
            match attempts.attempt(Some(DEADLINE), answer).await {
                Ok(Some(Ok(()))) => return Ok(()),
                Ok(Some(Err(refusal))) => return Err(refusal.into_error()),
                Ok(None) => {}
                Err(unanswered) => return Err(fault::explain(OPERATION, fault::timed_out(unanswered))),
            }
        }
        Err(Refusal::SaysNothing.into_error())
    }

    /// Returns the running check, or starts one. Returns `None` if the last answer is still valid.
    fn check_running(&self) -> Option<watch::Receiver<Option<Result<(), Refusal>>>> {
        let mut state = self.shared.policy_check.state();
        if state.is_recent() {
            return None;
        }
        // Closed without an answer: see above.
        if let Some(running) = state.running.as_ref().filter(|running| running.has_changed().is_ok()) {
            return Some(running.clone());
        }
        let (answer, running) = watch::channel(None);
        state.running = Some(running.clone());
        let (log, has_passed) = (self.clone(), state.passed_at.is_some());
        drop(state);
        tokio::spawn(async move {
            let started_at = Instant::now();
            let checked = log.check_policies(has_passed).await;
            log.shared.keep(&checked, started_at);
            answer.send_replace(Some(checked));
        });
        Some(running)
    }

    async fn check_policies(&self, has_passed: bool) -> Result<(), Refusal> {
        // If a master is down, its last answer stays valid, so that it does not delay the events of other
        // masters for long.
        let mut attempts = if has_passed { Attempts::once() } else { Attempts::until_deadline() };
        let policies = match self.read(&mut attempts, policies).await {
            Ok(policies) => policies,
            Err(error) if has_passed && fault::kind_of(&error) != FaultKind::Permanent => return Ok(()),
            Err(error) => return Err(Refusal::Failed(error)),
        };
        for policy in policies {
            match policy.as_deref() {
                Some("noeviction") => {}
                Some(evicts) => return Err(Refusal::Evicts(evicts.to_owned())),
                None => return Err(Refusal::SaysNothing),
            }
        }
        Ok(())
    }
}

/// The number of checks that a call waits for, if checks end without an answer.
const MAX_CHECKS: u32 = 3;

impl Shared {
    fn keep(&self, checked: &Result<(), Refusal>, started_at: Instant) {
        let mut state = self.policy_check.state();
        state.running = None;
        if checked.is_ok() {
            state.passed_at = Some(started_at);
        }
    }
}

impl Refusal {
    fn into_error(self) -> Error {
        match self {
            Self::Evicts(policy) => refusal(&policy),
            Self::SaysNothing => unknown(Unknown),
            Self::Failed(error) => explain(error),
        }
    }
}

/// Reads the policy of every server to which events are written.
///
/// We use `INFO` instead of `CONFIG GET`, because it is often allowed if `CONFIG` is not, and because
/// redis-rs sends it to every master of a cluster (`CONFIG GET` goes to one arbitrary node).
async fn policies<C: ConnectionLike>(mut connection: C) -> RedisResult<Vec<Option<String>>> {
    let answer: Value = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let Value::Map(masters) = answer else {
        return Ok(vec![policy(answer)]);
    };
    // redis-rs skips masters to which it has no connection.
    let cluster: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await?;
    let size = field(&cluster, "cluster_size").and_then(|size| size.parse::<usize>().ok());
    if size.is_none_or(|size| masters.len() < size) {
        connect_to_all(&mut connection).await?;
        return Err((ErrorKind::ClusterConnectionNotFound, "not every master could be asked").into());
    }
    Ok(masters.into_iter().map(|(_, answer)| policy(answer)).collect())
}

/// Reads a key of each master, whether it exists or not. redis-rs connects to a master only if a key of it is wanted. No
/// other call wants one before this check has passed, so without this a log that was first used while a master was
/// down would never be connected to it.
async fn connect_to_all<C: ConnectionLike>(connection: &mut C) -> RedisResult<()> {
    let ranges: Vec<Value> = redis::cmd("CLUSTER").arg("SLOTS").query_async(connection).await?;
    for range in ranges {
        let Value::Array(range) = range else { continue };
        let Some(Value::Int(first)) = range.first() else { continue };
        let key = u16::try_from(*first).map(slot::key_in).unwrap_or_default();
        // What it answers does not matter: the user may not be allowed to read it.
        drop(redis::cmd("EXISTS").arg(key).query_async::<Value>(connection).await);
    }
    Ok(())
}

fn policy(answer: Value) -> Option<String> {
    let info = String::from_redis_value(answer).ok()?;
    field(&info, "maxmemory_policy").map(str::to_owned)
}

/// A field of an answer in lines of `name:value`.
fn field<'answer>(answer: &'answer str, name: &str) -> Option<&'answer str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn explain(error: RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError) => unknown(error),
        _ => fault::explain(OPERATION, error),
    }
}

fn refusal(policy: &str) -> Error {
    Error::Store {
        operation: OPERATION.into(),
        advice: format!(
            "its `maxmemory-policy` is `{policy}`, so when its memory is full it drops marks, and their \
             events run again: set it to `noeviction` on every node (or use `with_eviction_accepted()`)"
        )
        .into(),
        source: Evicts(policy.to_owned()).into(),
    }
}

fn unknown(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Store {
        operation: OPERATION.into(),
        advice:
            "it does not say what its `maxmemory-policy` is: allow `INFO` to its user (and `CLUSTER INFO` \
                 on a cluster), or set the policy to `noeviction` yourself and use `with_eviction_accepted()`"
                .into(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use redis::{Cmd, Pipeline, RedisFuture};

    use super::*;
    use crate::log::ProcessedEventLog;

    /// A server that speaks Redis' protocol and has no such setting.
    #[derive(Clone)]
    struct Other;

    impl ConnectionLike for Other {
        fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
            Box::pin(async { Ok(Value::BulkString(b"# Memory\r\nused_memory:1\r\n".to_vec())) })
        }

        fn req_packed_commands<'a>(
            &'a mut self,
            _: &'a Pipeline,
            _: usize,
            _: usize,
        ) -> RedisFuture<'a, Vec<Value>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn get_db(&self) -> i64 {
            0
        }
    }

    #[tokio::test]
    async fn a_server_without_the_setting_is_refused() {
        let refused = RedisLog::new(Other).try_mark_processed("evt_1").await.unwrap_err();
        assert!(refused.to_string().contains("does not say"), "{refused}");
    }

    #[test]
    fn the_setting_is_read_in_both_protocols() {
        let info = "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        let verbatim = Value::VerbatimString { format: redis::VerbatimFormat::Text, text: info.to_owned() };
        for answer in [Value::BulkString(info.into()), verbatim] {
            assert_eq!(policy(answer).as_deref(), Some("noeviction"));
        }
    }
}
