//! The deliveries in the database.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::delivery::{
    Counts, Held, NewDelivery, Received, SentDelivery, TakeLimits, TakenBatch, storable_key,
};
use super::dialect::{InboxDatabase, NewTake, TakenRows};
use super::names::Names;
use super::operations::{InboxOperations, SqlInboxOperations};
use super::requests::{AgeOfFirst, Count, FreeHeads, NextDue, PurgeSeen, RECEIVE, Take};
use super::step::{Step, StepOf, millis};
use super::tables::Tables;
use super::wakeup::Wakeup;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::owner::Owner;
use crate::sql::{Beside, InvalidTableName, Request, SharedGroup, SqlLog, seconds_of_age};

/// How often a take meets another worker's at the same key, before it leaves what is due to that one.
const MAX_CONTENDED: u32 = 8;

/// Deliveries get their numbers in about the order of their arrival: one in an open transaction gets it early.
const MAX_LATE: i64 = 86_400;

/// Keeps deliveries in tables beside a log's, in the same pool. Clones share it.
///
/// Every step of a held delivery returns `false` if the lease was lost: another worker has taken it over.
///
/// # Errors
///
/// [`Error::Store`] if the outcome is unknown or the database refused the statement. A delivery whose
/// [`receive`](Self::receive) failed may be stored all the same, and no attempt is made to take that back: the sender
/// delivers it again, which is then a duplicate of an event that the worker processes like every other. A log must take
/// such a mark back, because a mark means that the event was processed. A row of an inbox means that it will be.
pub struct InboxStore<D: InboxDatabase> {
    inner: Arc<Inner<D>>,
}

struct Inner<D: InboxDatabase> {
    log: SqlLog<D>,
    tables: Tables<D>,
    sender: Arc<str>,
    receives: SharedGroup<D, SentDelivery>,
    renewals: SharedGroup<D, StepOf>,
    completions: SharedGroup<D, StepOf>,
    backoffs: SharedGroup<D, StepOf>,
    parkings: SharedGroup<D, StepOf>,
    releases: SharedGroup<D, StepOf>,
    /// The last order key that the sweep looked at.
    swept: Mutex<String>,
    wakeup: Wakeup<D>,
}

/// Not derived: a derived one would require `D: Clone`.
impl<D: InboxDatabase> Clone for InboxStore<D> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<D: InboxDatabase> fmt::Debug for InboxStore<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InboxStore")
            .field("database", &D::NAME)
            .field("tables", self.inner.tables.names())
            .field("sender", &self.inner.sender)
            .finish_non_exhaustive()
    }
}

impl<D: InboxDatabase> InboxStore<D> {
    /// The tables `webhook_inbox`, `webhook_inbox_seen` and so on, see [`schema`](Self::schema), in the schema of the
    /// log's table.
    ///
    /// Several senders share the tables, by their names. A worker takes those of its own sender.
    pub fn new(log: &SqlLog<D>, sender: &str) -> Self {
        Self::over(log.clone(), Tables::beside(log), storable_key(sender).as_ref().into())
    }

    fn over(log: SqlLog<D>, tables: Tables<D>, sender: Arc<str>) -> Self {
        let has_pooler = tables.connection().has_pooler();
        let wakeup = Wakeup::new(log.pool(), &tables.names().table(""), &sender, has_pooler);
        Self {
            inner: Arc::new(Inner {
                log,
                tables,
                sender,
                receives: SharedGroup::default(),
                renewals: SharedGroup::default(),
                completions: SharedGroup::default(),
                backoffs: SharedGroup::default(),
                parkings: SharedGroup::default(),
                releases: SharedGroup::default(),
                swept: Mutex::default(),
                wakeup,
            }),
        }
    }

    /// The same over tables of this name, `NAME_seen` and so on.
    ///
    /// # Errors
    ///
    /// If the name is not letters, digits and `_`, or is over 48 bytes.
    pub fn with_table(self, name: &str) -> Result<Self, InvalidTableName> {
        let tables = self.inner.tables.with_name(&self.inner.log, name)?;
        Ok(Self::over(self.inner.log.clone(), tables, Arc::clone(&self.inner.sender)))
    }

    /// A parked delivery keeps the later ones of its order key waiting. All processes have to agree.
    #[must_use]
    pub fn with_strict_order(self) -> Self {
        let tables = self.inner.tables.with_strict_order(&self.inner.log);
        Self::over(self.inner.log.clone(), tables, Arc::clone(&self.inner.sender))
    }

    /// The statements that create the tables, for a migration.
    pub fn schema(&self) -> String {
        self.inner.tables.schema()
    }

    /// Creates the tables that are missing.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database cannot be written.
    pub async fn create_tables(&self) -> Result<(), Error> {
        self.inner.tables.create().await
    }

    /// Finds everything that is wrong with the tables, the rights and the session at once.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with everything that is wrong, each with what fixes it; or if the database cannot be reached.
    pub async fn check(&self) -> Result<(), Error> {
        self.inner.tables.check().await
    }

    /// Stores a delivery, in a statement with others. After its first poll it goes on in the background if it is
    /// dropped: the sender may not try again. Wakes this process's workers after [`Received::First`].
    ///
    /// # Errors
    ///
    /// [`Error::Store`]. The delivery may be stored all the same, see [`InboxStore`].
    pub async fn receive(&self, delivery: NewDelivery) -> Result<Received, Error> {
        let store = self.clone();
        DetachOnDrop::new(async move {
            let Inner { tables, receives, .. } = &*store.inner;
            let delivery = delivery.of_sender(&store.inner.sender);
            let received = tables.connection().send_shared(receives, tables.sql().await?, delivery).await?;
            if received == Received::First {
                store.wake();
            }
            Ok(received)
        })
        .await
    }

    /// Stores a delivery inside the application's own transaction. Call [`wake`](Self::wake) after its commit, or leave
    /// it to the poll.
    ///
    /// Deliveries of one order key are stored one transaction after the other: a second one waits for the end of the
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]. The transaction may have to be rolled back.
    pub async fn put(
        &self,
        connection: &mut D::Connection,
        delivery: NewDelivery,
    ) -> Result<Received, Error> {
        let tables = &self.inner.tables;
        let statements = tables.sql().await?.statements();
        D::put(connection, statements, &delivery.of_sender(&self.inner.sender))
            .await
            .map_err(|error| tables.connection().explained(RECEIVE, error))
    }

    /// Takes what is due, and what was held under a lease that has run out. Empty: there is nothing. If it is dropped,
    /// what was taken is released in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]. If something was taken by a lost answer, its lease runs out.
    pub async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error> {
        let store = self.clone();
        let limits = TakeLimits { max_attempts: limits.max_attempts.max(1), ..limits };
        let (taken, received) = tokio::sync::oneshot::channel();
        let mut taking = DetachOnDrop::new(async move {
            if let Err(Ok(TakenBatch { taken: lost, .. })) = taken.send(store.take_now(limits).await) {
                for lost in lost {
                    drop(store.release(&lost.held).await);
                }
            }
        });
        // Declared last, so that it is dropped first: what the background takes must not be sent to a caller that is
        // being dropped.
        let answer = received;
        (&mut taking).await;
        answer.await.unwrap_or_else(|gone| Err(Error::store("take deliveries from the inbox", gone)))
    }

    async fn take_now(&self, limits: TakeLimits) -> Result<TakenBatch, Error> {
        for _ in 0..MAX_CONTENDED {
            let take = NewTake {
                sender: Arc::clone(&self.inner.sender),
                limits,
                lease_millis: millis(limits.lease),
                owner: Owner::random()?,
            };
            match self.send(&Take { take }).await? {
                TakenRows::Taken(batch) => return Ok(batch),
                TakenRows::Contended => {}
            }
        }
        Ok(TakenBatch::default())
    }

    /// All requests of one group have the same step.
    async fn step(
        &self,
        group: fn(&Inner<D>) -> &SharedGroup<D, StepOf>,
        request: StepOf,
    ) -> Result<bool, Error> {
        let store = self.clone();
        DetachOnDrop::new(async move {
            let inner = &*store.inner;
            let sql = inner.tables.sql().await?;
            inner.tables.connection().send_shared(group(inner), sql, request).await
        })
        .await
    }

    /// Extends the lease to this long from now.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether it was renewed.
    pub async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error> {
        self.step(|inner| &inner.renewals, StepOf::new(Step::Renew, held, lease, "")).await
    }

    /// The delivery is processed: its body is deleted, its event's key stays. Frees the next one of its order key.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether it was recorded. Its lease ends by itself, and it runs again.
    pub async fn complete(&self, held: &Held) -> Result<bool, Error> {
        self.step(|inner| &inner.completions, StepOf::new(Step::Complete, held, Duration::ZERO, "")).await
    }

    /// Another attempt after this time. Later deliveries of its order key wait for it. `error` is cut to 1,000 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether it was recorded. Its lease ends by itself.
    pub async fn back_off(&self, held: &Held, after: Duration, error: &str) -> Result<bool, Error> {
        self.step(|inner| &inner.backoffs, StepOf::new(Step::BackOff, held, after, error)).await
    }

    /// No more attempts until somebody replays it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether it was recorded. Its lease ends by itself.
    pub async fn park(&self, held: &Held, error: &str) -> Result<bool, Error> {
        self.step(|inner| &inner.parkings, StepOf::new(Step::Park, held, Duration::ZERO, error)).await
    }

    /// As if it had not been taken: no body has begun, so the attempt is given back.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether it was released. Its lease ends by itself.
    pub async fn release(&self, held: &Held) -> Result<bool, Error> {
        self.step(|inner| &inner.releases, StepOf::new(Step::Release, held, Duration::ZERO, "")).await
    }

    /// In how long the next delivery becomes due that is not due yet. `None`: none waits.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database does not answer.
    pub async fn next_due(&self) -> Result<Option<Duration>, Error> {
        let due = self.send(&NextDue { sender: Arc::clone(&self.inner.sender) }).await?;
        Ok(due.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
    }

    /// Frees deliveries that wait for another one of their order key that is gone. A step of a few milliseconds: call
    /// it once for each empty take, and about each 0.2 s. Returns how many it freed; take again if any.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database does not answer.
    pub async fn free_heads(&self) -> Result<u64, Error> {
        let freed = self.send(&FreeHeads { after: self.swept(None) }).await?;
        self.swept(Some(freed.last_key.unwrap_or_default()));
        Ok(freed.freed)
    }

    /// The key after which the next sweep starts.
    fn swept(&self, last: Option<String>) -> String {
        // A panic cannot leave it half-changed.
        let mut swept = self.inner.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last {
            *swept = last;
        }
        swept.clone()
    }

    /// Forgets the keys of events that were received longer ago and are processed. Returns how many.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]. What was deleted before it stays deleted.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        let mut deleted = 0;
        let mut after = Vec::new();
        loop {
            let Some((end, of_page)) = self.purge_page(older_than, after).await? else { return Ok(deleted) };
            deleted += of_page;
            after = end;
        }
    }

    /// The same for a page of keys after this one: its last key, and how many were forgotten. `None`: there is no page.
    pub(super) async fn purge_page(
        &self,
        older_than: Duration,
        after: Vec<u8>,
    ) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let older_than = seconds_of_age(older_than);
        let store = self.clone();
        // A connection in the middle of a page is not fit for the pool, so a page is always finished.
        let page = DetachOnDrop::new(async move {
            let first = store.send(&AgeOfFirst {}).await?;
            // The key of an event stays for as long as the event is in the inbox.
            let looks = first.is_some_and(|age| age.saturating_add(MAX_LATE) >= older_than);
            store.send(&PurgeSeen { after, older_than, looks }).await
        });
        page.await
    }

    /// What an operator does by hand, over the tables of all senders.
    pub fn operations(&self) -> Arc<dyn InboxOperations> {
        Arc::new(SqlInboxOperations::new(self.clone()))
    }

    pub(super) fn names(&self) -> &Names {
        self.inner.tables.names()
    }

    /// Sends a request to the tables, after the first look at them.
    pub(super) async fn send<R>(&self, request: &R) -> Result<R::Answer, Error>
    where
        R: Request<D, D::InboxStatements>,
    {
        let tables = &self.inner.tables;
        tables.connection().send(tables.sql().await?, request).await
    }

    /// How many deliveries there are.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database does not answer.
    pub async fn counts(&self) -> Result<Counts, Error> {
        self.send(&Count { sender: Arc::clone(&self.inner.sender) }).await
    }

    /// Whether the error stays until somebody changes the tables, the user's rights or the process.
    pub fn needs_help(error: &Error) -> bool {
        Beside::<D>::needs_help(error)
    }

    /// The pool of the log, for the conformance kit.
    #[cfg(feature = "conformance")]
    pub(crate) fn pool(&self) -> &sqlx::Pool<D> {
        self.inner.log.pool()
    }

    /// Wakes the workers of this process, and on PostgreSQL those of others.
    pub fn wake(&self) {
        self.inner.wakeup.wake();
    }

    /// Completes at the next wake-up since the last call returned. Cancel safe. Poll all the same.
    pub async fn woken(&self) {
        self.inner.wakeup.woken().await;
    }
}
