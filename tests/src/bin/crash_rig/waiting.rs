//! A connection whose scripts wait for a replica, as an application can have it: `WAIT` after each.

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value};

/// How long the server waits at most, in milliseconds.
const WITHIN: u64 = 1_000;

/// Answers a script only after so many replicas have received what this connection has written, or with an error.
///
/// A duplicate writes nothing, so it does not wait for the mark that it found.
#[derive(Clone)]
pub(crate) struct Waiting<C> {
    pub(crate) connection: C,
    pub(crate) replicas: i64,
}

impl<C: ConnectionLike + Send> ConnectionLike for Waiting<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let is_script = command
            .args_iter()
            .next()
            .is_some_and(|name| matches!(name, redis::Arg::Simple(name) if name.starts_with(b"EVAL")));
        if !is_script {
            return self.connection.req_packed_command(command);
        }
        Box::pin(async move {
            let mut both = Pipeline::with_capacity(2);
            both.add_command(command.clone()).cmd("WAIT").arg(self.replicas).arg(WITHIN);
            let answers = self.connection.req_packed_commands(&both, 0, 2).await?;
            let mut answers = answers.into_iter();
            let answer = answers.next().unwrap_or(Value::Nil).extract_error()?;
            match answers.next() {
                Some(Value::Int(received)) if received >= self.replicas => Ok(answer),
                _ => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
