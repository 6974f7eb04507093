//! Nothing is fenced on a server that forgets: it has to be `maxmemory-policy noeviction`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::Instant;

use super::{RedisLog, fault};
use crate::error::Error;
use crate::retry::{Attempts, FaultKind};

/// How long an answer counts. A setting can change under a running server, and a failover or a new
/// node brings a server that was not asked.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);

const OPERATION: &str = "make sure that the server forgets no event";

/// When the servers last said that they evict nothing.
#[derive(Default)]
pub(super) struct LastAnswer(Mutex<Option<Instant>>);

impl LastAnswer {
    fn asked_at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_recent(&self) -> bool {
        self.asked_at().is_some_and(|asked_at| asked_at.elapsed() < ASK_AGAIN_AFTER)
    }

    fn keep(&self, asked_at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked_at);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("maxmemory-policy is {0:?}")]
struct Evicts(String);

#[derive(Debug, thiserror::Error)]
#[error("the server did not say what its maxmemory-policy is")]
struct Unknown;

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// Takes nothing of the time that the call itself has.
    pub(super) async fn refuse_eviction(&self) -> Result<(), Error> {
        let Some(last_answer) = self.no_eviction.as_deref().filter(|last| !last.is_recent()) else {
            return Ok(());
        };
        let asked_at = Instant::now();
        let asked_before = last_answer.asked_at().is_some();
        // A master that is down must not stop the others for long: what it said before counts on.
        let attempts = if asked_before { Attempts::once() } else { Attempts::new() };
        let policies = match self.ask(attempts, policies).await {
            Ok(policies) => policies,
            Err(error) if asked_before && fault::kind_of(&error) != FaultKind::Permanent => {
                last_answer.keep(asked_at);
                return Ok(());
            }
            Err(error) => return Err(explain(error)),
        };
        for policy in policies {
            match policy.as_deref() {
                Some("noeviction") => {}
                Some(evicts) => return Err(refusal(evicts)),
                None => return Err(unknown(Unknown)),
            }
        }
        last_answer.keep(asked_at);
        Ok(())
    }
}

/// The policy of every server that events are written to.
///
/// `INFO` has it as well as `CONFIG GET`, is allowed where `CONFIG` is not, and redis-rs sends it to every
/// master of a cluster (`CONFIG GET` goes to any one node).
async fn policies<C: ConnectionLike>(mut connection: C) -> RedisResult<Vec<Option<String>>> {
    let answer: Value = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let Value::Map(masters) = answer else {
        return Ok(vec![policy(answer)]);
    };
    // redis-rs leaves out masters that it has no connection to.
    let cluster: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await?;
    let size = field(&cluster, "cluster_size").and_then(|size| size.parse::<usize>().ok());
    if size.is_none_or(|size| masters.len() < size) {
        return Err((ErrorKind::ClusterConnectionNotFound, "not every master could be asked").into());
    }
    Ok(masters.into_iter().map(|(_, answer)| policy(answer)).collect())
}

fn policy(answer: Value) -> Option<String> {
    let info = String::from_redis_value(answer).ok()?;
    field(&info, "maxmemory_policy").map(str::to_owned)
}

/// Of an answer in lines of `name:value`.
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
             events run again: set it to `noeviction` on every node (or say `with_eviction_accepted()`)"
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
                 on a cluster), or set the policy to `noeviction` yourself and say `with_eviction_accepted()`"
                .into(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use redis::{Cmd, Pipeline, RedisFuture};

    use super::*;
    use crate::log::ProcessedEventLog;

    /// Something that speaks Redis' protocol and has no such setting.
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
