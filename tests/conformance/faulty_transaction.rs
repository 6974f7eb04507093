//! The transactions of the small log.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use ferro_idem::replay::{NewReply, TransactionalReplayLog};
use ferro_idem::{Detached, Error, EventRef, MarkOutcome, Owner, Ownership, TransactionalLog};

use super::faulty::{Defect, Faulty, Row, State};

/// It writes nothing before its commit, so a rollback has nothing to undo.
pub(crate) struct Transaction {
    log: Faulty,
    /// The event, and its new row.
    marked: Option<(String, Row)>,
    reply: Option<(Vec<u8>, Option<Instant>)>,
    /// An event that was seen as processed.
    seen: Option<String>,
    lent: Lent,
}

/// The value that the body gets.
#[derive(Default)]
pub(crate) struct Lent {
    effects: Vec<String>,
    is_rolled_back: bool,
    /// Another connection, which commits by itself.
    elsewhere: Option<Faulty>,
}

impl Lent {
    pub(crate) fn write(&mut self, event_id: &str) {
        match &self.elsewhere {
            Some(elsewhere) => elsewhere.table().effects.push(event_id.to_owned()),
            None => self.effects.push(event_id.to_owned()),
        }
    }

    pub(crate) fn roll_back(&mut self) {
        self.effects.clear();
        self.is_rolled_back = true;
    }
}

impl Deref for Transaction {
    type Target = Lent;

    fn deref(&self) -> &Lent {
        &self.lent
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Lent {
        &mut self.lent
    }
}

impl Transaction {
    fn end(&mut self, write: bool) {
        let mut table = self.log.table();
        if let Some((key, row)) = self.marked.take() {
            table.open.remove(&key);
            if write {
                if let Some(reply) = self.reply.take() {
                    table.replies.insert(self.log.key_of_reply(&key), reply);
                }
                table.rows.insert(key, row);
                if !self.log.has(Defect::CommitLosesEffects) {
                    table.effects.append(&mut self.lent.effects);
                }
            }
        }
    }
}

/// Replies inside a transaction.
impl TransactionalReplayLog for Faulty {
    async fn keep_in(
        &self,
        transaction: &mut Transaction,
        event_id: &str,
        reply: NewReply<'_>,
    ) -> Result<(), Error> {
        let key = self.key(event_id);
        let is_own = transaction.marked.as_ref().is_some_and(|(marked, _)| *marked == key);
        if !is_own && !self.has(Defect::KeepsForAnyEvent) {
            return Err(Error::store("keep the reply", std::io::Error::other("it marked another event")));
        }
        if transaction.lent.is_rolled_back && !self.has(Defect::CommitsWithoutLooking) {
            return Err(Error::store("keep the reply", std::io::Error::other("it was rolled back")));
        }
        let kept = self.stored(reply);
        if self.has(Defect::KeepsAtOnce) || !is_own {
            self.table().replies.insert(key, kept);
        } else if !self.has(Defect::LosesReplies) {
            transaction.reply = Some(kept);
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.end(self.log.has(Defect::DropCommits));
    }
}

impl TransactionalLog for Faulty {
    type Transaction = Transaction;

    fn begin(&self) -> Detached<Transaction> {
        let log = self.clone();
        let elsewhere = self.has(Defect::LendsAnotherConnection).then(|| self.clone());
        let lent = Lent { elsewhere, ..Lent::default() };
        Box::pin(async move { Ok(Transaction { log, marked: None, reply: None, seen: None, lent }) })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut Transaction,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let key = self.key(event.id());
        let looked = self.look(&key).await;
        let mut table = self.table();
        let is_open = if self.has(Defect::OneTransactionForAll) {
            !table.open.is_empty()
        } else {
            table.open.contains(&key)
        };
        if is_open && !self.has(Defect::IgnoresOpenTransactions) && looked.is_none() {
            return Ok(MarkOutcome::InProgress { retry_after: Duration::from_millis(1) });
        }
        let before = looked.unwrap_or(table.rows.get(&key).copied());
        match before.map(|row| row.state) {
            Some(State::Processed) if !self.has(Defect::TransactionsIgnoreProcessed) => {
                transaction.seen = Some(key);
                return Ok(MarkOutcome::Processed);
            }
            Some(State::Released) if self.has(Defect::TransactionsIgnoreReleases) => {
                return Ok(MarkOutcome::Processed);
            }
            Some(State::Claimed { until })
                if until > Instant::now() && !self.has(Defect::TransactionsIgnoreClaims) =>
            {
                return Ok(MarkOutcome::InProgress { retry_after: until - Instant::now() });
            }
            _ => {}
        }
        let before = before.and_then(|row| row.held);
        let held = match before {
            Some(before) if self.has(Defect::TakeoverKeepsTheClaim) => before,
            _ => Ownership { owner: Owner::random()?, token: before.map_or(0, |held| held.token) + 1 },
        };
        table.open.insert(key.clone());
        transaction.marked = Some((key, Row { state: State::Processed, held: Some(held) }));
        Ok(MarkOutcome::First)
    }

    fn commit(mut transaction: Transaction) -> Detached<()> {
        Box::pin(async move {
            let is_rolled_back = transaction.lent.is_rolled_back;
            if is_rolled_back && !transaction.log.has(Defect::CommitsWithoutLooking) {
                return Err(Error::store("commit", std::io::Error::other("it was rolled back")));
            }
            let keeps = !is_rolled_back && !transaction.log.has(Defect::CommitLosesTheMark);
            transaction.end(keeps);
            Ok(())
        })
    }

    fn rollback(mut transaction: Transaction) -> Detached<()> {
        Box::pin(async move {
            let keeps = transaction.log.has(Defect::RollbackKeepsTheMark);
            transaction.end(keeps);
            if let Some(key) =
                transaction.seen.take().filter(|_| transaction.log.has(Defect::RollbackDeletes))
            {
                transaction.log.table().rows.remove(&key);
            }
            Ok(())
        })
    }
}
