//! The inbox of one sender.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::delivery::NewDelivery;
use super::dialect::InboxDatabase;
use super::operations::InboxOperations;
use super::receive::{Receipt, ReceiveError};
use super::reply::Reply;
use super::store::InboxStore;
use super::stored::Stored;
use super::worker::Worker;
use crate::error::Error;
use crate::event::EventRef;
use crate::sender::{Delivery, Sender, SenderRejection, Verified};
use crate::sql::{InvalidTableName, SqlLog};

/// The attempts of an event, unless set.
const MAX_ATTEMPTS: u32 = 12;

/// The largest body that is stored, unless set. GitHub's are the largest of the known senders
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap>).
const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

type Order<E> = Arc<dyn Fn(&E) -> Option<String> + Send + Sync>;

/// The inbox of one sender, in the database of a log.
///
/// The [module](super) says what it is for, and has an example with an endpoint. Clones share the same inbox.
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::inbox::{Backoff, Inbox, Receipt};
/// use ferro_idem::sender::Delivery;
/// use ferro_idem::stripe::{StripeEvent, StripeWebhook};
/// use ferro_idem::SqliteLog;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("ferro-idem-inbox-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("app.db");
/// let log = SqliteLog::open(&path).await?;
/// let inbox = Inbox::new(log.clone(), StripeWebhook::new("whsec_..."))
///     .with_max_attempts(12)
///     .with_backoff(Backoff::exponential(Duration::from_secs(1)..Duration::from_secs(3600)));
/// inbox.create_tables().await?; // or put `inbox.schema()` into your migrations
///
/// // An event that needs no signature. The endpoint is `inbox.receive()`, or `receive_delivery`.
/// let delivery = Delivery::new(br#"{"id": "evt_1", "type": "invoice.paid", "data": {"object": {}}}"#);
/// assert_eq!(inbox.add(&delivery).await?, Receipt::Stored);
/// assert_eq!(inbox.add(&delivery).await?, Receipt::Duplicate);
///
/// let (delivered, seen) = tokio::sync::oneshot::channel::<()>();
/// let delivered = std::sync::Mutex::new(Some(delivered));
/// let worker = inbox.worker(move |event: StripeEvent| {
///     println!("shipping for {}", event.id());
///     drop(delivered.lock().map(|mut delivered| delivered.take())); // ends this example
///     async { Ok::<(), ferro_idem::Error>(()) }
/// });
/// worker.run(async move { drop(seen.await) }).await?;
/// # log.pool().close().await;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(()) }
/// ```
pub struct Inbox<D: InboxDatabase, S: Sender> {
    store: InboxStore<D>,
    sender: Arc<S>,
    max_attempts: u32,
    backoff: Backoff,
    order: Option<Order<S::Event>>,
    max_body: usize,
}

impl<D: InboxDatabase, S: Sender> Inbox<D, S> {
    /// An inbox in the tables `webhook_inbox*` beside the log's, in the same pool. Creates nothing and sends nothing.
    ///
    /// The inboxes of several senders share the tables, by [`Sender::NAME`]. Two senders of one name need tables of
    /// their own: see [`with_table`](Self::with_table).
    #[allow(clippy::needless_pass_by_value, reason = "the inbox keeps the log's pool")]
    pub fn new(log: SqlLog<D>, sender: S) -> Self {
        Self {
            store: InboxStore::new(&log, S::NAME),
            sender: Arc::new(sender),
            max_attempts: MAX_ATTEMPTS,
            backoff: Backoff::default(),
            order: None,
            max_body: MAX_BODY_BYTES,
        }
    }

    /// The same inbox in other tables than `webhook_inbox*`: `github_inbox` names the tables `github_inbox*`.
    ///
    /// # Errors
    ///
    /// [`InvalidTableName`] if the name is not letters, digits and `_`, or is too long.
    pub fn with_table(self, name: &str) -> Result<Self, InvalidTableName> {
        Ok(Self { store: self.store.with_table(name)?, ..self })
    }

    /// How often an event is attempted before it is parked, 12 times unless set. Zero is taken for 1, because an event
    /// that was received is attempted.
    #[must_use]
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: attempts.max(1), ..self }
    }

    /// How long an event waits after a failed attempt, from 1 second to 1 hour unless set.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Events for which `key` returns the same text run one at a time, in the order in which they were received, on all
    /// processes together. Those without a key run in any order.
    ///
    /// An event that fails keeps the later ones of its key waiting until it is processed or parked, and no others. A
    /// parked event does not, unless the inbox is [`strict`](Self::strict). Transactions that [`put`](Self::put) events of
    /// one key at the same time wait for each other.
    ///
    /// ```
    /// # use ferro_idem::inbox::Inbox;
    /// # use ferro_idem::sender::github::GithubWebhook;
    /// # fn of(inbox: Inbox<sqlx::Sqlite, GithubWebhook>) -> Inbox<sqlx::Sqlite, GithubWebhook> {
    /// inbox.with_order(|event| event.repository().map(str::to_owned))
    /// # }
    /// ```
    #[must_use]
    pub fn with_order<K: Into<Option<String>>>(
        self,
        key: impl Fn(&S::Event) -> K + Send + Sync + 'static,
    ) -> Self {
        Self { order: Some(Arc::new(move |event| key(event).into())), ..self }
    }

    /// A parked event keeps the later ones of its key waiting, until it is replayed or discarded. All processes have to
    /// agree on it.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { store: self.store.with_strict_order(), ..self }
    }

    /// The largest body that is received, in bytes, 25 MB unless set. A web framework may have a lower limit of its own:
    /// axum's `DefaultBodyLimit` is 2 MB.
    #[must_use]
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// The statements that create the tables of this inbox, for a migration.
    pub fn schema(&self) -> String {
        self.store.schema()
    }

    /// Creates the tables that are missing, for development and embedded use. In production, put
    /// [`schema`](Self::schema) into your migrations.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database cannot be written.
    pub async fn create_tables(&self) -> Result<(), Error> {
        self.store.create_tables().await
    }

    /// Checks the tables, the user's rights and the session's settings. Run it when the application starts, so that it
    /// does not find out at the first delivery.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with everything that is wrong, each with what fixes it; or if the database cannot be reached.
    pub async fn check(&self) -> Result<(), Error> {
        self.store.check().await
    }

    /// Forgets the ids of events that were received longer ago than this and are processed. Returns how many. Keep them
    /// for as long as the sender may deliver them again: [`RETENTION`](crate::RETENTION) is enough for all.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the database does not answer.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        self.store.purge(older_than).await
    }

    /// Looks at the events of the inbox, and replays or discards those that are parked: see
    /// [`operations`](super::operations). It covers all senders that share the tables.
    ///
    /// ```
    /// # use ferro_idem::{Error, Inbox};
    /// # use ferro_idem::inbox::operations::Change;
    /// # use ferro_idem::sender::github::GithubWebhook;
    /// # async fn example(inbox: Inbox<sqlx::Sqlite, GithubWebhook>) -> Result<(), Error> {
    /// let operations = inbox.operations();
    /// if let Some(parked) = operations.look("github:72d3162e-cc78-11e3-81ab-4c9367dc0958").await? {
    ///     println!("{:?} after {} attempts", parked.last_error(), parked.attempts());
    ///     assert_eq!(operations.replay(&parked).await?, Change::Done);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn operations(&self) -> Arc<dyn InboxOperations> {
        self.store.operations()
    }

    /// Verifies a delivery and stores its event durably, without a web framework: for a queue, or for a framework other
    /// than those with a `receive()`.
    ///
    /// The answer to the sender is [`Receipt::status`] or [`ReceiveError::status`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, storing continues in the background: the sender may not deliver
    /// again.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. The event is not stored, or for a [`Store`](Error::Store) error that is unknown.
    pub async fn receive_delivery(&self, delivery: &Delivery<'_>) -> Result<Receipt, ReceiveError> {
        if delivery.body().len() > self.max_body {
            return Err(SenderRejection::BodyTooLarge.logged(S::NAME).into());
        }
        let event = match Verified::read(&*self.sender, delivery) {
            Ok(Verified(event)) => event,
            Err(SenderRejection::Handshake(body)) => return Ok(Receipt::Handshake(body)),
            Err(rejection) => return Err(rejection.into()),
        };
        let received = self.store.receive(self.new_delivery(&event, delivery)?).await?;
        Ok(received.into())
    }

    /// Stores an event that needs no signature, such as one that the sender's API lists as undelivered.
    ///
    /// The delivery has what [`Sender::decode`] reads: the body, and the headers that the sender names.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`] if it is no event of the sender, is too large, or could not be stored.
    pub async fn add(&self, delivery: &Delivery<'_>) -> Result<Receipt, ReceiveError> {
        let new = self.unverified(delivery)?;
        Ok(self.store.receive(new).await?.into())
    }

    /// Stores an event inside a transaction of the application: an outbox. It is delivered after the commit, and never
    /// if the transaction rolls back. Workers find it at their next poll, or at once if [`wake`](Self::wake) is called
    /// after the commit.
    ///
    /// The delivery has what [`Sender::decode`] reads. For events of your own, write a sender whose `verify` refuses
    /// everything.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`] if it is no event of the sender, is too large, or could not be stored. On PostgreSQL, the
    /// transaction has to be rolled back then.
    pub async fn put(
        &self,
        transaction: &mut D::Connection,
        delivery: &Delivery<'_>,
    ) -> Result<Receipt, ReceiveError> {
        let new = self.unverified(delivery)?;
        Ok(self.store.put(transaction, new).await?.into())
    }

    /// Wakes the workers after the commit of a transaction that [`put`](Self::put) an event.
    pub fn wake(&self) {
        self.store.wake();
    }

    /// A worker that delivers the events of this inbox to `handler`, when it [runs](Worker::run).
    ///
    /// The handler is an annotated function, called with the parts of the application that it needs. It runs at least
    /// once for each event, and its guarantee removes the repetitions: see the [module](super).
    #[track_caller]
    pub fn worker<F, Fut, R>(&self, handler: F) -> Worker<S, F>
    where
        F: Fn(S::Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: Reply + 'static,
    {
        let queue = Arc::new(self.store.clone());
        let settings = (self.max_attempts, self.backoff, self.order.is_some());
        Worker::new(queue, Arc::clone(&self.sender), handler, Location::caller(), settings)
    }

    /// For the conformance kit.
    #[cfg(feature = "conformance")]
    pub(crate) fn tested(&self) -> &InboxStore<D> {
        &self.store
    }

    fn unverified(&self, delivery: &Delivery<'_>) -> Result<NewDelivery, ReceiveError> {
        if delivery.body().len() > self.max_body {
            return Err(SenderRejection::BodyTooLarge.into());
        }
        let event = self.sender.decode(delivery)?;
        Ok(self.new_delivery(&event, delivery)?)
    }

    fn new_delivery(&self, event: &S::Event, delivery: &Delivery<'_>) -> Result<NewDelivery, Error> {
        let key = EventRef::of(event)?;
        let names = self.sender.headers();
        let headers = names
            .iter()
            .filter_map(|name| Some((*name, delivery.optional_header(name).ok()??.as_bytes())))
            .collect();
        let stored = Stored { sender: S::NAME, headers, body: delivery.body() }.encode();
        let order_key = self.order.as_ref().and_then(|order| order(event));
        Ok(NewDelivery::new(key, order_key.as_deref(), stored))
    }
}

/// Not derived: a derived one would require `S: Clone`.
impl<D: InboxDatabase, S: Sender> Clone for Inbox<D, S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            sender: Arc::clone(&self.sender),
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            order: self.order.clone(),
            max_body: self.max_body,
        }
    }
}

impl<D: InboxDatabase, S: Sender> fmt::Debug for Inbox<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Inbox")
            .field("sender", &S::NAME)
            .field("max_attempts", &self.max_attempts)
            .field("backoff", &self.backoff)
            .field("has_order", &self.order.is_some())
            .finish_non_exhaustive()
    }
}
