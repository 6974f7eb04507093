//! The log in Redis or Valkey.

mod claim;
mod eviction;
mod fault;
mod gate;
mod in_doubt;
mod operations;
mod position;
mod reopening;
#[cfg(feature = "replay")]
mod replay;
mod request;
mod same_event;
mod script;
mod slot;
mod take_back;
mod undelivered;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionLike, ConnectionManager};

use self::eviction::PolicyCheck;
use self::gate::Gate;
pub use self::reopening::ReopeningConnection;
use self::request::{Leaving, Request, When};
use self::same_event::{Lead, Role, SameEvent, UndeliveredMark};
use self::undelivered::{Made, Undelivered};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::log::{ProcessedEventLog, RETENTION};
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::Attempts;
use crate::server_clock::ServerClock;

/// With none at all, a mark would be deleted as soon as it is made.
const MIN_RETENTION: Duration = Duration::from_secs(1);

/// A log in Redis or Valkey, on one node or a cluster: fence and claim, no transactions.
///
/// It takes the application's own connection and uses a clone of it for each call. Use one that reconnects: a
/// [`ConnectionManager`], which `RedisLog` alone stands for, or a
/// [`ClusterConnection`](redis::cluster_async::ClusterConnection). A
/// [`MultiplexedConnection`](redis::aio::MultiplexedConnection) works until it breaks, and then never
/// again. TLS, user and timeouts are set on the connection.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use ferro_idem::{ProcessedEventLog, RedisLog};
///
/// let client = redis::Client::open("redis://127.0.0.1:6379")?;
/// let log: RedisLog = RedisLog::new(client.get_connection_manager().await?);
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # Ok(()) }
/// ```
///
/// On a cluster, the type names the connection. [`ReopeningConnection`] replaces it if it stops answering, which can
/// happen during a failover:
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use ferro_idem::{RedisLog, ReopeningConnection};
/// use redis::cluster::ClusterClient;
/// use redis::cluster_async::ClusterConnection;
///
/// let client = ClusterClient::new(["redis://node-1:6379", "redis://node-2:6379"])?;
/// let connection = ReopeningConnection::open(move || {
///     let client = client.clone();
///     async move { client.get_async_connection().await }
/// });
/// let log: RedisLog<ReopeningConnection<ClusterConnection>> = RedisLog::new(connection.await?);
/// # Ok(()) }
/// ```
///
/// # What Redis promises
///
/// A mark is as durable as the server's settings make it, and no more. If an event that runs twice
/// costs money, keep the log in a database.
///
/// | server | what can take back a mark that was acknowledged, so that its event runs again |
/// |---|---|
/// | `appendonly no` (Redis' default) | any restart: everything since the last snapshot |
/// | `appendonly yes`, `appendfsync everysec` | a power cut: the last second, or two. A killed process: nothing |
/// | `appendonly yes`, `appendfsync always` | nothing, on one node |
/// | any of them with a failover (Sentinel, cluster) | a failover: what the replica had not received, or a partition's losing side |
/// | `maxmemory-policy` other than `noeviction` | a full memory, at any time: refused, see below |
///
/// `WAIT` makes the loss at a failover rarer and does not prevent it
/// (<https://redis.io/docs/latest/commands/wait/>), so this log does not send it. See
/// <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/> and
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#write-safety>.
///
/// # Eviction
///
/// Before the first mark or claim, and again every minute, one call asks every master for its
/// `maxmemory-policy` (`INFO memory`), and all others wait for that answer. A server that may evict is refused, and
/// so is one that does not say; [`with_eviction_accepted`](Self::with_eviction_accepted) skips the check. If a master
/// does not answer, the first call is an [`Error::Store`], and a later one goes on after 2 seconds with the answer
/// from before.
///
/// # Lost replies and servers that stand still
///
/// A call whose reply is lost is repeated with the same owner until 10 seconds have passed, and is then an
/// [`Error::Store`]. The server recognises the owner, so a client that resends by itself, as redis-rs does on a
/// cluster, is as safe. redis-rs waits 500 ms for a reply by default, which suits this.
///
/// Marks, claims and renewals carry that deadline on the server's own clock (`TIME`): a server that stood still does
/// not carry them out afterwards. A mark or claim that may have been made before its call failed, or was dropped,
/// is taken back in the background until it is known to be gone, so that the next delivery runs. One task a log does
/// that. While 16,384 calls wait for it, new marks and claims are an [`Error::Store`] after 10 seconds, so that none is
/// made that could not be taken back. If the process ends first, a mark stays, and a claim runs out with its lease.
/// Completing and releasing have no deadline: carried out late, they are still true, and the fencing token keeps them
/// from a later claim.
///
/// A server that does not answer is not sent more and more. After 64 requests without an answer, calls wait for one
/// that changes nothing (`EXISTS`, every 250 ms), within their own deadline. On a cluster, this applies to the events
/// of one sixteenth of the slots, so that a node that is away does not delay the events of the others. At most 512
/// requests for each sixteenth are on their way at the same time.
///
/// A server that is gone without a word (a pulled cable, a firewall that drops packets) makes every call an
/// [`Error::Store`] until TCP gives the connection up, on Linux after a quarter of an hour by default: a
/// `ConnectionManager` reconnects when its connection breaks, and not while replies only time out. Set
/// [`TcpSettings::set_user_timeout`](https://docs.rs/redis/1.8/redis/io/tcp/struct.TcpSettings.html) to some
/// seconds (`ConnectionInfo::set_tcp_settings`), and it breaks after those.
///
/// # Failover behind a name
///
/// After a failover, an open connection may lead to the old primary, which is a replica now and answers `READONLY`.
/// The log then has that server close the connection (`QUIT`). A `ConnectionManager` resolves its name again when it
/// reconnects, and the call is repeated on the new primary. A `ClusterConnection` follows its cluster by itself, and needs
/// [`ReopeningConnection`] around it.
///
/// # Keys
///
/// Each event is one hash, named by [`with_key_prefix`](Self::with_key_prefix) and the id. Every script touches only
/// that one, and the event's reply. Its fields are `state` (0 claimed, 1 processed, 2 released), `owner` (of the call that made it,
/// 16 bytes), `fencing_token`, `lease_until` (milliseconds since 1970, while claimed) and `type`. A hash that the
/// application wrote itself, with other fields, counts as processed. The key expires after
/// [`with_retention`](Self::with_retention), counted from its last change, and never before a lease. Nothing needs to
/// be purged.
///
/// The reply of an event is a string of its own on the same node, because it expires earlier: after the prefix its key
/// has a NUL, a number in braces, and the id. It begins with the owner of the completion. Leases are on the clock of the server that has the key.
///
/// # Rights
///
/// A user of its own needs `+evalsha +eval +exists +hget +hmget +hset +hsetnx +hdel +pexpire +time +info`
/// on the keys of the prefix, and on a cluster `+cluster|info` besides what its client needs. Replies need `+get +set`,
/// and an operator `+scan +type +pttl`.
///
/// # Cancel safety
///
/// A dropped call leaves the event's hash consistent and the connection usable. A request that is on its way continues
/// in the background, and the mark or claim that it makes, or may have made, is taken back.
#[derive(Clone)]
pub struct RedisLog<C = ConnectionManager> {
    connection: C,
    key_prefix: Arc<[u8]>,
    retention: Duration,
    accepts_eviction: bool,
    shared: Arc<Shared>,
}

/// What a log needs of its connection.
trait Connection: ConnectionLike + Clone + Send + Sync + 'static {}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {}

/// What all clones of a log know of the server.
#[derive(Default)]
struct Shared {
    clock: ServerClock,
    gate: Gate,
    policy_check: PolicyCheck,
    leaving: Leaving,
    same_event: SameEvent,
    undelivered: Arc<Undelivered>,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// What the keys begin with by default.
    pub const DEFAULT_KEY_PREFIX: &'static str = "stripe_processed_events:";

    /// A log over the application's connection. Sends nothing yet.
    pub fn new(connection: C) -> Self {
        Self {
            connection,
            key_prefix: Self::DEFAULT_KEY_PREFIX.as_bytes().into(),
            retention: RETENTION,
            accepts_eviction: false,
            shared: Arc::default(),
        }
    }

    /// Sets what the keys begin with, any bytes: [`DEFAULT_KEY_PREFIX`](Self::DEFAULT_KEY_PREFIX) by default. Logs
    /// with different prefixes know nothing of each other.
    ///
    /// A hash tag in it (`{...}`) puts every event on one node of a cluster.
    #[must_use]
    pub fn with_key_prefix(self, prefix: impl Into<Vec<u8>>) -> Self {
        Self { key_prefix: prefix.into().into(), ..self }
    }

    /// Sets how long an event is remembered after its last change: [`RETENTION`] by default, and at least a second.
    ///
    /// An event that comes back later than that runs again.
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        Self { retention: retention.max(MIN_RETENTION), ..self }
    }

    /// Uses the server even if it may evict, or does not say whether it does.
    ///
    /// Use this if the server's policy is known to be `noeviction` and `INFO` is forbidden. On a server that
    /// does evict, an event whose mark was evicted runs again, and an evicted claim can be acquired
    /// twice at the same moment.
    #[must_use]
    pub fn with_eviction_accepted(self) -> Self {
        Self { accepts_eviction: true, ..self }
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    fn key(&self, event_id: &str) -> Vec<u8> {
        [&*self.key_prefix, event_id.as_bytes()].concat()
    }

    fn reply_key(&self, event_id: &str) -> Vec<u8> {
        slot::reply_key(&self.key_prefix, event_id)
    }

    async fn mark(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let owner = Owner::random()?;
        let attempts = Attempts::until_deadline();
        self.refuse_eviction(&attempts).await?;
        let key = self.key(event.id());
        let lead = match SameEvent::join(self, &key) {
            Role::Leader(lead) => lead,
            Role::Follower(follower) => match follower.follow(&attempts).await {
                Some(is_first) => return Ok(is_first),
                None => Lead::alone(self),
            },
        };
        let log = self.clone();
        let (event_id, event_type) = (event.id().to_owned(), event.recorded_type().map(Cow::into_owned));
        let marking = async move {
            let event_type = event_type.as_deref().unwrap_or_default();
            let arguments = (owner.as_bytes().as_slice(), event_type, millis(log.retention));
            let request = Request {
                operation: "mark the event as processed",
                script: &script::MARK,
                event_id: &event_id,
                when: When::TakenBack(owner, Made::Mark),
            };
            let answer = log.send_undelivered(attempts, request, arguments).await?;
            Ok(lead.answer(answer.into_made()))
        };
        // If the caller goes, the answer says whether there is anything to hand on or to take back.
        DetachOnDrop::new(marking).await.map(UndeliveredMark::into_is_first)
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> ProcessedEventLog for RedisLog<C> {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        self.mark(EventRef::new(event_id)?).await
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.mark(event).await
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.shared)
    }
}

/// Leaves the connection out: it may hold a password.
impl<C> fmt::Debug for RedisLog<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisLog")
            .field("key_prefix", &String::from_utf8_lossy(&self.key_prefix))
            .field("retention", &self.retention)
            .field("accepts_eviction", &self.accepts_eviction)
            .finish_non_exhaustive()
    }
}

/// At most a century, so that adding it to the time is exact in the server's numbers.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(3_155_760_000_000)
}
