//! What differs between databases in an inbox.

use std::sync::Arc;

use sqlx::Pool;
use tokio::sync::Notify;

use super::channel::Channel;
use super::delivery::{Counts, Received, SentDelivery, TakeLimits, TakenBatch};
use super::names::Names;
use super::operations::expressions::InboxExpressions;
use super::step::{Step, StepOf};
use crate::owner::Owner;
use crate::retry::Attempt;
use crate::sql::{QueryFuture, SqlDatabase};

/// A database that an [`Inbox`](crate::Inbox) can be kept in: `sqlx::Sqlite`, `sqlx::Postgres` and `sqlx::MySql`.
///
/// Use it as a bound if your own code is generic over the database. The trait is sealed: it has no methods for users,
/// and only this crate implements it.
///
/// ```
/// use ferro_idem::{Error, InboxDatabase, SqlLog};
///
/// async fn ready<D: InboxDatabase>(log: &SqlLog<D>) -> Result<(), Error> {
///     log.check().await
/// }
/// ```
pub trait InboxDatabase: InboxDialect {}

impl<D: InboxDialect> InboxDatabase for D {}

/// The state of a delivery, in the column `state`.
///
/// 0: it waits until it is due. 1: a worker holds it until `due_at`. 2: it is parked. 3: it waits for another one of
/// its order key, and is not looked at until that is gone.
///
/// The last one is for speed only: 50,000 of one key would be looked at by each take. Whether a delivery may run is
/// decided by the order of `seq`, and by a unique index of the keys that run. What is in state 3 by mistake is freed by
/// [`free_heads`](InboxDialect::free_heads).
#[allow(missing_docs)]
pub trait InboxDialect: SqlDatabase {
    const INBOX_SCHEMA: &'static str;

    /// Expressions over the columns of the tables, for operations.
    const INBOX_EXPRESSIONS: InboxExpressions;

    /// Whether a trigger or a rule can keep rows out of a table without an error.
    const KEEPS_ROWS_OUT: bool;

    /// The statements, written out for an inbox.
    type InboxStatements: Send + Sync + 'static;

    fn inbox_statements(names: &Names, rules: Rules) -> Self::InboxStatements;

    /// The number of the layout that the tables were made with. `None`: there is no table.
    fn layout(connection: &mut Self::Connection, names: &Names) -> impl QueryFuture<Option<i64>>;

    /// Stores deliveries of different events, in this order.
    fn receive(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        deliveries: &[&SentDelivery],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<Received>>;

    /// Stores a delivery in the open transaction, after a lock on its order key, so that those of one key get their
    /// numbers in the order of their commits.
    fn put(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        delivery: &SentDelivery,
    ) -> impl QueryFuture<Received>;

    /// [`Attempt::Retry`]: an earlier attempt may have taken deliveries for this owner, which are returned as well.
    fn take(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        take: &NewTake,
        attempt: Attempt,
    ) -> impl QueryFuture<TakenRows>;

    /// For each delivery, whether it was held and so was changed. [`Attempt::Retry`]: also whether an earlier attempt
    /// has changed it.
    fn step(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        step: Step,
        of: &[&StepOf],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>>;

    /// The milliseconds until the next one is due that is not due yet.
    fn next_due(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        sender: &str,
    ) -> impl QueryFuture<Option<i64>>;

    /// Frees the first of each of the next order keys after this one, if it is in state 3.
    fn free_heads(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        after: &str,
    ) -> impl QueryFuture<FreedHeads>;

    /// Forgets old events among the next page of ids after `after`. `None`: there is no next page. `looks`: whether
    /// some of them may be in the inbox still.
    fn purge_seen(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        after: &[u8],
        older_than: i64,
        looks: bool,
    ) -> impl QueryFuture<Option<(Vec<u8>, u64)>>;

    /// The age of the one with the lowest number, in seconds.
    fn age_of_first(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
    ) -> impl QueryFuture<Option<i64>>;

    /// Whether [`tell`](Self::tell) and [`listen`](Self::listen) do something.
    const TELLS_OTHERS: bool = false;

    /// Tells other processes that there are new deliveries.
    fn tell(pool: &Pool<Self>, channel: &Channel) -> impl QueryFuture<()> {
        let _ = (pool, channel);
        std::future::ready(Ok(()))
    }

    /// Wakes when another process has told. Ends if it cannot hear, or no longer.
    fn listen(pool: &Pool<Self>, channel: &Channel, woken: &Notify) -> impl QueryFuture<()> {
        let _ = (pool, channel, woken);
        std::future::ready(Ok(()))
    }

    fn counts(
        connection: &mut Self::Connection,
        statements: &Self::InboxStatements,
        sender: &str,
    ) -> impl QueryFuture<Counts>;
}

/// The suffix of each table, and its columns.
pub(super) const TABLES: [(&str, &[&str]); 3] = [
    ("_seen", &["event_id", "received_at"]),
    (
        "",
        &[
            "seq",
            "sender",
            "event_id",
            "event_type",
            "order_key",
            "state",
            "due_at",
            "attempts",
            "fencing_token",
            "owner",
            "received_at",
            "last_error",
            "layout",
        ],
    ),
    ("_body", &["seq", "body"]),
];

/// What decides between variants of statements.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A parked delivery keeps the later ones of its order key waiting.
    pub(super) is_strict: bool,
    /// The server does not keep prepared statements from one request to the next.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only PostgreSQL has such poolers"))]
    pub(super) has_pooler: bool,
}

/// A take, with the same owner in each of its attempts.
#[derive(Clone, Debug)]
pub struct NewTake {
    pub(super) sender: Arc<str>,
    pub(super) limits: TakeLimits,
    pub(super) lease_millis: i64,
    pub(super) owner: Owner,
}

/// The rows of a take.
#[derive(Debug)]
pub enum TakenRows {
    Taken(TakenBatch),
    /// Another worker took one of the same order key at the same moment, so nothing was taken.
    Contended,
}

/// The step of a sweep over the order keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FreedHeads {
    pub(super) freed: u64,
    /// The last key that was looked at. `None`: there are no more.
    pub(super) last_key: Option<String>,
}

/// The keys that one step of a sweep looks at.
pub(super) const KEYS_OF_A_SWEEP: i64 = 256;

/// The layout of the tables that this version makes and reads.
pub(super) const LAYOUT: i64 = 1;

/// What `last_error` says about a delivery that a take parks, if no attempt has left an error of its own.
pub(super) const USED_UP: &str =
    "what ran it ended every time without saying how, and its attempts are used up";
