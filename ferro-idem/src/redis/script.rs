//! What runs inside the server: each script touches one key, so that it runs on one node of a cluster.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs};

pub(super) static MARK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/mark.lua")));
pub(super) static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim.lua")));
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/renew.lua")));
pub(super) static SETTLE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/settle.lua")));

pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Runs it by its hash, and by its code on a server that does not know it yet.
    ///
    /// `redis::Script` would load the code into every node of a cluster, and wait for the one that is
    /// down, though the event is elsewhere. `EVAL` asks only the node that has the key, and loads it there.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        mut connection: impl ConnectionLike,
        key: &[u8],
        arguments: impl ToRedisArgs,
    ) -> RedisResult<T> {
        let by_hash = command("EVALSHA", &self.hash, key, &arguments);
        match by_hash.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.code, key, &arguments).query_async(&mut connection).await
            }
            answer => answer,
        }
    }
}

fn command(name: &str, script: &str, key: &[u8], arguments: &impl ToRedisArgs) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(1).arg(key).arg(arguments);
    command
}
