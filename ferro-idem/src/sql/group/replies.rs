//! Reads of replies that share a statement.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Follower, Leftover};
use super::{BatchAnswer, BatchRequest, MAX_REPLIES, max_unpolled};
use crate::sql::dialect::Dialect;
use crate::sql::request::ReadReplies;
use crate::sql::session::Session;

/// The event whose reply is read.
pub(in crate::sql) struct ReadReply(pub(in crate::sql) Arc<str>);

type Reply = Option<Arc<[u8]>>;
type ReplyFollower = Follower<ReadReply, Reply>;

impl<D: Dialect> BatchRequest<Session<D>> for ReadReply {
    type Answer = Reply;

    fn id(&self) -> &Arc<str> {
        &self.0
    }

    fn operation(&self) -> &'static str {
        "read the reply"
    }

    fn max_unpolled() -> Option<Duration> {
        max_unpolled::<D>()
    }

    async fn send_batch(session: &mut Session<D>, mut batch: Batch<Self, Reply>) -> Leftover<Self, Reply> {
        let mut waiting = batch.keep_one_of_each(|read| &read.0, merge);
        waiting.append(&mut batch.followers.split_off(batch.followers.len().min(MAX_REPLIES)));
        let mut attempts = batch.begin();
        let replies = {
            let ids: Vec<&str> = batch.followers.iter().map(|follower| &*follower.request.0).collect();
            session.send_after(&mut attempts, &ReadReplies(&ids)).await
        };
        match replies {
            Ok(replies) => {
                for (follower, reply) in batch.take().into_iter().zip(replies) {
                    let reply: Reply = reply.map(Arc::from);
                    follower.tell_all(|| BatchAnswer::Answer(reply.clone()));
                }
                Leftover::waiting(waiting)
            }
            Err(failed) => batch.fail_or_search(session, waiting, failed),
        }
    }
}

/// A reply is read once for all its callers.
fn merge(first: &mut ReplyFollower, other: ReplyFollower) -> Option<ReplyFollower> {
    first.callers.extend(other.callers);
    None
}
