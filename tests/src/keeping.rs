use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ferro_idem::replay::{NewReply, ReplayLog, TransactionalReplayLog};
use ferro_idem::{
    ClaimLog, ClaimOutcome, DEFAULT_LEASE, Detached, Error, EventRef, MarkOutcome, MemoryProcessedLog, Owner,
    Ownership, TransactionalLog,
};

/// A log in memory that keeps replies and has transactions. Tests read and change what it keeps, and make it fail.
#[derive(Clone, Debug, Default)]
pub struct KeepingLog {
    claims: MemoryProcessedLog,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    replies: HashMap<String, Vec<u8>>,
    effects: Vec<String>,
    keeps_nothing: bool,
    waits: bool,
    keep: Option<Duration>,
}

/// Yields once if the test asks for it, so that a delivery can be dropped there.
async fn wait(waits: bool) {
    if waits {
        tokio::task::yield_now().await;
    }
}

impl KeepingLog {
    fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is stored for a key.
    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.kept(|kept| kept.replies.get(key).cloned())
    }

    /// The keys whose replies are kept, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.kept(|kept| kept.replies.keys().cloned().collect());
        keys.sort();
        keys
    }

    /// Stores other bytes for a key.
    pub fn store(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.kept(|kept| kept.replies.insert(key.to_owned(), bytes.into()));
    }

    /// As if the reply had expired.
    pub fn expire(&self, key: &str) {
        self.kept(|kept| kept.replies.remove(key));
    }

    /// Whether replies are refused from now on.
    pub fn keep_nothing(&self, keeps_nothing: bool) {
        self.kept(|kept| kept.keeps_nothing = keeps_nothing);
    }

    /// Each call yields once from now on.
    #[must_use]
    pub fn yields(self) -> Self {
        self.kept(|kept| kept.waits = true);
        self
    }

    /// How long the last reply was to be kept.
    pub fn last_keep(&self) -> Option<Duration> {
        self.kept(|kept| kept.keep)
    }

    /// The committed effects.
    pub fn effects(&self) -> Vec<String> {
        self.kept(|kept| kept.effects.clone())
    }

    fn put(&self, key: &str, reply: NewReply<'_>) -> Result<(), Error> {
        self.kept(|kept| {
            if kept.keeps_nothing {
                return Err(Error::store("keep the reply", "the test refuses it"));
            }
            kept.keep = Some(reply.keep);
            kept.replies.insert(key.to_owned(), reply.stored.to_vec());
            Ok(())
        })
    }
}

#[async_trait]
impl ClaimLog for KeepingLog {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        wait(self.kept(|kept| kept.waits)).await;
        self.claims.claim(event, owner, lease).await
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.claims.renew(event_id, held, lease).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        wait(self.kept(|kept| kept.waits)).await;
        self.claims.complete(event_id, held).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        wait(self.kept(|kept| kept.waits)).await;
        self.claims.release(event_id, held).await
    }

    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.claims.withdraw(event_id, held).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl ReplayLog for KeepingLog {
    async fn kept_reply(&self, event_id: &str) -> Result<Option<Vec<u8>>, Error> {
        wait(self.kept(|kept| kept.waits)).await;
        Ok(self.stored(event_id))
    }

    async fn complete_with_reply(
        &self,
        event_id: &str,
        held: Ownership,
        reply: NewReply<'_>,
    ) -> Result<bool, Error> {
        wait(self.kept(|kept| kept.waits)).await;
        let completed = self.claims.complete(event_id, held).await?;
        if completed {
            self.put(event_id, reply)?;
        }
        Ok(completed)
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(self.clone())
    }
}

/// What a body writes, which the commit makes visible.
#[derive(Debug)]
pub struct KeepingTransaction {
    log: KeepingLog,
    marked: Option<(String, Ownership)>,
    effects: Vec<String>,
    reply: Option<Vec<u8>>,
    is_open: bool,
}

impl Deref for KeepingTransaction {
    type Target = Vec<String>;

    fn deref(&self) -> &Vec<String> {
        &self.effects
    }
}

impl DerefMut for KeepingTransaction {
    fn deref_mut(&mut self) -> &mut Vec<String> {
        &mut self.effects
    }
}

/// A dropped transaction is rolled back.
impl Drop for KeepingTransaction {
    fn drop(&mut self) {
        if let (true, Some((key, held))) = (self.is_open, self.marked.take())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let log = self.log.clone();
            runtime.spawn(async move { log.claims.release(&key, held).await });
        }
    }
}

impl TransactionalLog for KeepingLog {
    type Transaction = KeepingTransaction;

    fn begin(&self) -> Detached<KeepingTransaction> {
        let log = self.clone();
        Box::pin(async move {
            wait(log.kept(|kept| kept.waits)).await;
            Ok(KeepingTransaction { log, marked: None, effects: Vec::new(), reply: None, is_open: true })
        })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut KeepingTransaction,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let owner = Owner::random()?;
        Ok(match self.claims.claim(event, owner, DEFAULT_LEASE).await? {
            ClaimOutcome::Acquired { token } => {
                transaction.marked = Some((event.id().to_owned(), Ownership { owner, token }));
                wait(self.kept(|kept| kept.waits)).await;
                MarkOutcome::First
            }
            ClaimOutcome::InProgress { retry_after } => MarkOutcome::InProgress { retry_after },
            ClaimOutcome::Processed => MarkOutcome::Processed,
        })
    }

    fn commit(mut transaction: KeepingTransaction) -> Detached<()> {
        Box::pin(async move {
            let log = transaction.log.clone();
            wait(log.kept(|kept| kept.waits)).await;
            transaction.is_open = false;
            if let Some((key, held)) = transaction.marked.take() {
                log.claims.complete(&key, held).await?;
                log.kept(|kept| {
                    kept.effects.append(&mut transaction.effects);
                    kept.replies.extend(transaction.reply.take().map(|reply| (key, reply)));
                });
            }
            Ok(())
        })
    }

    fn rollback(mut transaction: KeepingTransaction) -> Detached<()> {
        Box::pin(async move {
            transaction.is_open = false;
            if let Some((key, held)) = transaction.marked.take() {
                transaction.log.claims.release(&key, held).await?;
            }
            Ok(())
        })
    }
}

impl TransactionalReplayLog for KeepingLog {
    async fn keep_in(
        &self,
        transaction: &mut KeepingTransaction,
        _: &str,
        reply: NewReply<'_>,
    ) -> Result<(), Error> {
        wait(self.kept(|kept| kept.waits)).await;
        self.kept(|kept| {
            kept.keep = Some(reply.keep);
            if kept.keeps_nothing {
                return Err(Error::store("keep the reply", "the test refuses it"));
            }
            transaction.reply = Some(reply.stored.to_vec());
            Ok(())
        })
    }
}
