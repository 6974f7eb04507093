//! The scripts that run inside the server. Each script uses the key of one event, and of its reply, so that it runs on
//! one node of a cluster.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, ToRedisArgs};

/// The answer of a script: its outcome, and a number that belongs to it.
pub(super) type Answer = (i64, u64);

/// A script that is only carried out before its deadline.
macro_rules! before_deadline {
    ($file:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(include_str!("scripts/deadline.lua"), include_str!($file)), false)
        })
    };
    ($file:literal, with its reply) => {
        LazyLock::new(|| {
            Script::new(concat!(include_str!("scripts/deadline.lua"), include_str!($file)), true)
        })
    };
}

pub(super) static MARK: LazyLock<Script> = before_deadline!("scripts/mark.lua");
pub(super) static CLAIM: LazyLock<Script> = before_deadline!("scripts/claim.lua");
pub(super) static RENEW: LazyLock<Script> = before_deadline!("scripts/renew.lua");
pub(super) static SETTLE: LazyLock<Script> = before_deadline!("scripts/settle.lua");
pub(super) static WITHDRAW: LazyLock<Script> = before_deadline!("scripts/withdraw.lua");
pub(super) static CHANGE: LazyLock<Script> = before_deadline!("scripts/change.lua", with its reply);
#[cfg(feature = "replay")]
pub(super) static SETTLE_WITH_REPLY: LazyLock<Script> =
    before_deadline!("scripts/settle_with_reply.lua", with its reply);
pub(super) static FORGET_REPLY: LazyLock<Script> =
    before_deadline!("scripts/forget_reply.lua", with its reply);
/// Reads the reply of one event.
#[cfg(feature = "replay")]
pub(super) const REPLY: &str = include_str!("scripts/reply.lua");
/// Reads one event, for operations.
pub(super) const LOOK: &str = include_str!("scripts/look.lua");
pub(super) static TAKE_BACK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/take_back.lua"), false));

pub(super) struct Script {
    code: &'static str,
    hash: String,
    /// Whether it takes the key of the event's reply as well.
    pub(super) has_reply: bool,
}

impl Script {
    fn new(code: &'static str, has_reply: bool) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned(), has_reply }
    }

    /// Runs the script by its hash, or by its code if the server does not know it yet. Returns the outcome, a
    /// number that belongs to it, and the time on the server's clock.
    ///
    /// `redis::Script` would load the code into every node of a cluster, and would wait for a node that is
    /// down although the event is on another node. `EVAL` is sent only to the node that has the key, and
    /// loads the code there.
    pub(super) async fn run(
        &self,
        mut connection: impl ConnectionLike,
        keys: &[Vec<u8>],
        arguments: impl ToRedisArgs,
    ) -> RedisResult<(i64, u64, u64)> {
        let by_hash = command("EVALSHA", &self.hash, keys, &arguments);
        match by_hash.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.code, keys, &arguments).query_async(&mut connection).await
            }
            answer => answer,
        }
    }
}

fn command(name: &str, script: &str, keys: &[Vec<u8>], arguments: &impl ToRedisArgs) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
