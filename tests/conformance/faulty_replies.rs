//! The replies of the small log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ferro_idem::replay::{ClaimOrReply, NewReply, ReplayLog};
use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership};

use super::faulty::{Defect, Faulty, Row, State};

impl Faulty {
    /// What is kept of a reply.
    pub(crate) fn stored(&self, reply: NewReply<'_>) -> (Vec<u8>, Option<Instant>) {
        let mut stored = reply.stored.to_vec();
        if self.has(Defect::CutsRepliesAtNul) {
            stored.truncate(stored.iter().position(|byte| *byte == 0).unwrap_or(stored.len()));
        }
        if self.has(Defect::DecodesReplies) {
            stored = String::from_utf8_lossy(&stored).into_owned().into_bytes();
        }
        (stored, Instant::now().checked_add(reply.keep))
    }

    pub(crate) fn key_of_reply(&self, key: &str) -> String {
        if self.has(Defect::OneReplyForAll) { "one".to_owned() } else { key.to_owned() }
    }

    fn keep(&self, event_id: &str, reply: NewReply<'_>) {
        if self.has(Defect::LosesReplies) {
            return;
        }
        let key = self.key_of_reply(&self.key(event_id));
        let mut kept = self.stored(reply);
        let mut table = self.table();
        if let Some((before, _)) = table.replies.remove(&key)
            && self.has(Defect::MixesReplies)
        {
            let half = kept.0.len() / 2;
            kept.0.truncate(half);
            kept.0.extend(before.into_iter().skip(half));
        }
        table.replies.insert(key, kept);
    }
}

#[async_trait]
impl ReplayLog for Faulty {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = self.key(event_id);
        if self.has(Defect::ReadsUnderALeakedLock) {
            if std::mem::replace(&mut self.table().locked, true) {
                return Ok(None);
            }
            tokio::task::yield_now().await;
            self.table().locked = false;
        }
        let mut table = self.table();
        if !table.rows.get(&key).is_some_and(|row| row.state == State::Processed) {
            return Ok(None);
        }
        let Some((stored, until)) = table.replies.get(&self.key_of_reply(&key)).cloned() else {
            return Ok(self.has(Defect::InventsReplies).then(Vec::new));
        };
        if stored.is_empty() && self.has(Defect::TakesEmptyForNone) {
            return Ok(None);
        }
        let is_over = until.is_some_and(|until| until <= Instant::now()) && !self.has(Defect::NeverExpires);
        if is_over && self.has(Defect::ExpiryForgetsTheEvent) {
            table.rows.remove(&key);
        }
        Ok((!is_over).then_some(stored))
    }

    async fn claim_or_reply(
        &self,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> Result<Option<ClaimOrReply>, Error> {
        let returns_replies = self.has(Defect::ClaimReturnsExpiredReplies);
        if !returns_replies && !self.has(Defect::ClaimReturnsNoReply) {
            return Ok(None);
        }
        let outcome = self.claim(event, owner, lease).await?;
        let kept = self.table().replies.get(&self.key_of_reply(&self.key(event.id()))).cloned();
        let reply = kept.filter(|_| returns_replies && outcome == ClaimOutcome::Processed);
        Ok(Some(ClaimOrReply { outcome, reply: reply.map(|(stored, _)| stored) }))
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        let step = |row: Row, is_holder: bool| {
            let is_changed = match row.state {
                State::Claimed { .. } => is_holder,
                State::Released => false,
                State::Processed => is_holder && !self.has(Defect::SecondCompleteFails),
            };
            is_changed.then_some(if self.has(Defect::ReplyLeavesTheClaim) {
                row.state
            } else {
                State::Processed
            })
        };
        let is_completed = self.settle(event_id, held, step);
        if self.has(Defect::CompletesThenKeeps) {
            tokio::task::yield_now().await;
        }
        if is_completed || self.has(Defect::KeepsForAnyone) {
            self.keep(event_id, reply);
        }
        Ok(is_completed)
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        if self.has(Defect::HandleIsAnotherStore) {
            return Arc::new(Self::new(None));
        }
        Arc::new(self.clone())
    }
}
