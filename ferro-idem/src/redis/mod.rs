//! The log in Redis or Valkey.

mod claim;
mod eviction;
mod fault;
mod script;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, RedisError, RedisResult, ToRedisArgs};

use self::eviction::LastAnswer;
use self::script::Script;
use crate::error::Error;
use crate::event::EventRef;
use crate::log::{ProcessedEventLog, RETENTION};
use crate::owner::Owner;
use crate::retry::{ANSWER_WITHIN, Attempts};

/// With none at all, a mark would be deleted as soon as it is made.
const MIN_RETENTION: Duration = Duration::from_secs(1);

/// A log in Redis or Valkey, on one node or a cluster: fence and claim, no transactions.
///
/// It takes the application's own connection, a clone of which each call uses: a
/// [`ConnectionManager`](https://docs.rs/redis/latest/redis/aio/struct.ConnectionManager.html) or a
/// [`ClusterConnection`](redis::cluster_async::ClusterConnection), which reconnect. A
/// [`MultiplexedConnection`](redis::aio::MultiplexedConnection) works until it breaks, and then never
/// again. TLS, user and timeouts are the connection's.
///
/// # What Redis promises
///
/// A mark is as durable as the server's settings make it, and no more. Where an event that runs twice
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
/// `WAIT` does not mend the failover: it makes the loss rarer
/// (<https://redis.io/docs/latest/commands/wait/>), and this log does not send it. See
/// <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/> and
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#write-safety>.
///
/// # Eviction
///
/// Before the first mark or claim, and again every minute, every master is asked for its
/// `maxmemory-policy` (`INFO memory`). One that may evict is refused, and so is one that does not say;
/// [`with_eviction_accepted`](Self::with_eviction_accepted) is the way around. Where a master does not answer, the first
/// call is an [`Error::Store`], and a later one goes on after 2 seconds with what it said before.
///
/// # Lost replies
///
/// A call whose reply is lost is repeated with the same owner, up to 8 times within about 10 seconds, and
/// is then an [`Error::Store`]. A client that resends by itself, as redis-rs does on a cluster, is as safe:
/// the server knows the owner again. redis-rs waits 500 ms for a reply by default, which suits this.
///
/// A server that is gone without a word (a pulled cable, a firewall that drops packets) makes every call an
/// [`Error::Store`] until TCP gives the connection up, on Linux after a quarter of an hour by default: a
/// `ConnectionManager` connects anew when its connection breaks, and not while replies only time out. Set
/// [`TcpSettings::set_user_timeout`](https://docs.rs/redis/1.8/redis/io/tcp/struct.TcpSettings.html) to some
/// seconds (`ConnectionInfo::set_tcp_settings`), and it breaks after those.
///
/// # Keys
///
/// One hash an event, named by [`with_key_prefix`](Self::key_prefix) and the id, and every script touches only
/// that one. Its fields are `state` (0 claimed, 1 processed, 2 released), `owner` (the owner of the call,
/// 16 bytes), `fence`, `lease_until` (milliseconds since 1970, while claimed) and `type`. A hash that the
/// application wrote itself, with other fields, counts as processed. The key expires after
/// [`retention`](Self::retention), counted from its last change, and never before a lease; nothing is
/// purged by hand. Leases are on the clock of the server that has the key.
///
/// # Rights
///
/// A user of its own needs `+evalsha +eval +exists +hget +hmget +hset +hsetnx +hdel +pexpire +time +info`
/// on the keys of the prefix, and on a cluster `+cluster|info` besides what its client needs.
///
/// # Cancel safety
///
/// A dropped call leaves the event's hash consistent and the connection usable. Its mark may have been
/// made all the same.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use ferro_idem::{ProcessedEventLog, RedisLog};
///
/// let client = redis::cluster::ClusterClient::new(["redis://node-1:6379", "redis://node-2:6379"])?;
/// let log = RedisLog::new(client.get_async_connection().await?);
/// assert!(log.try_mark_processed("evt_1").await?);
/// assert!(!log.try_mark_processed("evt_1").await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisLog<C> {
    connection: C,
    key_prefix: Arc<[u8]>,
    retention: Duration,
    /// `None`: eviction is accepted.
    no_eviction: Option<Arc<LastAnswer>>,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// What the keys begin with, if nothing else is said.
    pub const DEFAULT_KEY_PREFIX: &'static str = "stripe_processed_events:";

    /// A log over the application's connection. Asks nothing yet.
    pub fn new(connection: C) -> Self {
        Self {
            connection,
            key_prefix: Self::DEFAULT_KEY_PREFIX.as_bytes().into(),
            retention: RETENTION,
            no_eviction: Some(Arc::default()),
        }
    }

    /// What the keys begin with: any bytes. Logs with different prefixes know nothing of each other.
    ///
    /// A hash tag in it (`{...}`) puts every event on one node of a cluster.
    #[must_use]
    pub fn with_key_prefix(self, prefix: impl Into<Vec<u8>>) -> Self {
        Self { key_prefix: prefix.into().into(), ..self }
    }

    /// How long an event is remembered after its last change: [`RETENTION`] by default, and a second at
    /// least.
    ///
    /// An event that comes back later than that runs again.
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        Self { retention: retention.max(MIN_RETENTION), ..self }
    }

    /// Uses the server even if it may evict, or does not say whether it does.
    ///
    /// Right where its policy is known to be `noeviction` and `INFO` is forbidden. On a server that
    /// does evict, an event whose mark was dropped runs again, and a claim that was dropped can be had
    /// twice at the same moment.
    #[must_use]
    pub fn with_eviction_accepted(self) -> Self {
        Self { no_eviction: None, ..self }
    }

    async fn mark(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let owner = Owner::random()?;
        self.refuse_eviction().await?;
        let event_type = event.recorded_type().unwrap_or_default();
        let arguments = (owner.as_bytes().as_slice(), &*event_type, millis(self.retention));
        self.run("mark the event as processed", &script::MARK, event.id(), arguments).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &Script,
        event_id: &str,
        arguments: impl ToRedisArgs + Copy + Send,
    ) -> Result<T, Error> {
        let key = [&self.key_prefix, event_id.as_bytes()].concat();
        self.ask(Attempts::new(), |connection| script.run(connection, &key, arguments))
            .await
            .map_err(|error| fault::explain(operation, error))
    }

    /// Asks until there is an answer, a refusal, or no attempt left.
    async fn ask<T, Asked: Future<Output = RedisResult<T>>>(
        &self,
        mut attempts: Attempts,
        ask: impl Fn(C) -> Asked,
    ) -> Result<T, RedisError> {
        loop {
            let error = match attempts.attempt(Some(ANSWER_WITHIN), ask(self.connection.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(unanswered) => io::Error::new(io::ErrorKind::TimedOut, unanswered).into(),
            };
            if !attempts.again_after(fault::kind_of(&error)).await {
                return Err(error);
            }
        }
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
}

/// Leaves the connection out: it may hold a password.
impl<C> fmt::Debug for RedisLog<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisLog")
            .field("key_prefix", &String::from_utf8_lossy(&self.key_prefix))
            .field("retention", &self.retention)
            .field("accepts_eviction", &self.no_eviction.is_none())
            .finish_non_exhaustive()
    }
}

/// At most a century, so that adding it to the time is exact in the server's numbers.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(3_155_760_000_000)
}
