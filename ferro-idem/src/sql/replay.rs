//! Replies, in the rows of their events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::SqlLog;
use super::columns::SchemaLevel;
use super::dialect::SqlDatabase;
use super::event_state::{
    ClaimAnswer, ClaimStep, FoundReply, HeldClaim, NewClaim, OwnMark, StoredReply, millis,
};
use super::fault::Fault;
use super::group::{BatchAnswer, ReadReply, send_in_batch};
use super::request::ReadReplies;
use super::session::{RequestFailed, Session};
use super::transaction::SqlTransaction;
use crate::claim::{ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::event_table::in_transaction::kept_reply::KeptReply;
use crate::event_table::in_transaction::steps::TransactionSteps;
use crate::event_table::in_transaction::{MadeMark, answered_once};
use crate::owner::Owner;
use crate::replay::{ClaimOrReply, NewReply, ReplayLog, TransactionalReplayLog};
use crate::retry::{Attempt, Attempts};
use crate::transaction::CommittedEarly;

const READ: &str = "read the reply";
const COMPLETE: &str = "complete the event";
const KEEP: &str = "keep the reply";

impl StoredReply {
    fn new(reply: NewReply<'_>) -> Self {
        Self { bytes: reply.stored.into(), keep_millis: millis(reply.keep) }
    }
}

#[async_trait]
impl<D: SqlDatabase> ReplayLog for SqlLog<D> {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        self.core.reply_sql(READ).await?;
        let mut attempt = Attempt::First;
        if self.has_group_commit {
            let session = || Session::for_batches(&self.core);
            match send_in_batch(session, &self.groups.replies, ReadReply(event_id.into())).await {
                BatchAnswer::Answer(reply) => return Ok(reply.map(|reply| reply.to_vec())),
                BatchAnswer::Failed(error) => return Err(error),
                BatchAnswer::Alone(next) => attempt = next,
            }
        }
        let mut replies = Session::for_caller(&self.core)
            .send_after(&mut Attempts::starting_with(attempt), &ReadReplies(&[event_id]))
            .await
            .map_err(RequestFailed::into_error)?;
        Ok(replies.pop().flatten())
    }

    async fn claim_or_reply(
        &self,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> Result<Option<ClaimOrReply>, Error> {
        self.core.claim_sql().await?;
        if !self.core.has_replies() {
            return Ok(None);
        }
        let claim = NewClaim { reads_reply: true, ..NewClaim::new(event, owner, lease) };
        let ClaimAnswer { outcome, reply } =
            self.claim_in(&self.groups.claims_reading_replies, claim).await?;
        let reply = match reply {
            FoundReply::Read(reply) => reply.map(Arc::unwrap_or_clone),
            FoundReply::Unread if outcome == ClaimOutcome::Processed => self.kept_reply(event.id()).await?,
            FoundReply::Unread => None,
        };
        Ok(Some(ClaimOrReply { outcome, reply }))
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        self.core.reply_sql(COMPLETE).await?;
        let held = HeldClaim { reply: StoredReply::new(reply), ..HeldClaim::new(event_id, held) };
        self.update_claim(ClaimStep::CompleteWithReply, held).await
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(self.clone())
    }
}

impl<D: SqlDatabase> SqlTransaction<D> {
    /// Keeps the reply beside the mark, and checks that the mark is there.
    async fn keep(&mut self, event_id: &str, reply: &StoredReply) -> Result<(), Error> {
        // Until it is known to be there.
        self.0.kept = KeptReply::Failed;
        let made = self.0.made.as_ref().filter(|made| *made.mark.id == *event_id);
        let Some(MadeMark { mark, level, .. }) = made.cloned() else {
            return Err(Error::store(KEEP, "the transaction has not marked this event"));
        };
        let core = Arc::clone(&self.0.table);
        let Some(session) = self.0.session_mut() else {
            return Err(Error::store(KEEP, "the transaction has ended"));
        };
        core.replies_seen_by(KEEP, session).await?;
        let Some(sql) = core.compiled(level).filter(|_| level == SchemaLevel::Full) else {
            let advice =
                "the table was upgraded after this transaction had begun: the next delivery keeps its reply";
            return Err(Fault::passing(advice).of(KEEP, "the mark has no owner"));
        };
        let replies = D::reply_statements(&sql.statements);
        let kept = D::keep_in(session, replies, &mark, reply).await;
        if kept.map_err(|error| core.explained(KEEP, error))? {
            self.0.kept = KeptReply::WithMark;
            return Ok(());
        }
        let own_mark = sql.statements.own_mark(session, &mark).await;
        match own_mark.map_err(|error| core.explained(KEEP, error))? {
            // Something in the table keeps the update out.
            OwnMark::Held => Err(Fault::swallowed().of(KEEP, "the mark was not changed")),
            OwnMark::Gone => Err(Fault::rolled_back().of(KEEP, "the mark is gone from the transaction")),
            OwnMark::Committed => {
                Err(Fault::committed_early("The reply is not kept").of(KEEP, CommittedEarly))
            }
        }
    }
}

impl<D: SqlDatabase> TransactionalReplayLog for SqlLog<D> {
    async fn keep_in(
        &self,
        transaction: &mut SqlTransaction<D>,
        event_id: &str,
        reply: NewReply<'_>,
    ) -> Result<(), Error> {
        let reply = StoredReply::new(reply);
        answered_once(KEEP, D::ANSWERS_WITHIN, transaction.keep(event_id, &reply)).await
    }
}
