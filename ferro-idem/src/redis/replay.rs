//! Replies, each in a key of its own beside that of its event.

use std::sync::Arc;

use async_trait::async_trait;
use redis::aio::ConnectionLike;

use super::request::{Request, When};
use super::{RedisLog, fault, millis, script};
use crate::claim::Ownership;
use crate::error::Error;
use crate::replay::{NewReply, ReplayLog};
use crate::retry::Attempts;

const READ: &str = "read the reply";

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> ReplayLog for RedisLog<C> {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut read = redis::cmd("EVAL");
        read.arg(script::REPLY).arg(2).arg(self.key(event_id)).arg(self.reply_key(event_id));
        let read = Arc::new(read);
        let send = |mut connection: C| {
            let read = Arc::clone(&read);
            async move { read.query_async(&mut connection).await }
        };
        let answer = self.read(&mut Attempts::until_deadline(), send).await;
        answer.map_err(|error| fault::explain(READ, error))
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        let arguments = (
            held.owner.as_bytes().as_slice(),
            held.token,
            millis(self.retention),
            millis(reply.keep),
            reply.stored,
        );
        let request = Request {
            operation: "complete the event",
            script: &script::SETTLE_WITH_REPLY,
            event_id,
            when: When::AtAnyTime,
        };
        let (outcome, _) = self.send(Attempts::until_deadline(), request, arguments).await?;
        Ok(outcome == 1)
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(self.clone())
    }
}
