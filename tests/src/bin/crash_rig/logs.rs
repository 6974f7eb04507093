//! The logs under test. A new cluster is a line here, and a file in `tests/src/servers`.

use std::pin::Pin;

use ferro_idem_tests::proxy::Protocol;
use ferro_idem_tests::servers::{
    Acknowledgement, Deployment, Galera, MariaDb, MariaDbReplicas, Network, Postgres, PostgresCluster,
    PostgresQuorum, Product, Redis, RedisReplicas, RedisSentinel, Replication,
};

use crate::disasters::Disaster;

/// A log under test: what it runs on, and what can happen to that.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Starts the servers. `None` if there are none.
    pub(crate) start: Option<Start>,
    pub(crate) disasters: &'static [Disaster],
    /// How many replicas the workers' scripts wait for, if it is in Redis.
    pub(crate) waits_for: i64,
}

/// Which log the workers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MySql,
    Redis,
    /// A cluster, whose clients find the servers by themselves.
    RedisCluster,
    /// A log written in a hurry over SQLite.
    Naive,
}

/// Starts servers, in a network if each of them can have a namespace of its own.
pub(crate) type Start = fn(Option<Network>) -> Starting;

pub(crate) type Starting = Pin<Box<dyn Future<Output = Box<dyn Deployment>> + Send>>;

static LOGS: &[Log] = &{
    use Acknowledgement::{AfterCommit, AfterSync, AfterSyncOrTimeout};
    use Disaster::{
        Absence, Comeback, Drops, Failover, Freeze, Partition, Promote, ReadOnly, RowLocks, TableLock,
    };
    use Kind::{MySql, Naive, Postgres as Pg, Redis as Re, RedisCluster, Sqlite};

    const FILE: &[Disaster] = &[TableLock, Drops];
    const SERVER: &[Disaster] = &[TableLock, RowLocks, Freeze, Failover, ReadOnly, Drops];
    const REDIS: &[Disaster] = &[Freeze, Failover, ReadOnly, Drops];
    const NODES: &[Disaster] = &[Promote, Partition, Drops];
    const STANDBY: &[Disaster] = &[Promote, Absence, Partition, Comeback, Drops];
    const AWAY: &[Disaster] = &[Promote, Absence, Drops];
    const PROMOTED: &[Disaster] = &[Promote, Drops];
    // No write without a replica that was there a second ago.
    const MIN_REPLICAS: &[&str] = &["--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"];

    [
        log("sqlite", Sqlite, None, FILE),
        log("naive", Naive, None, FILE),
        log("postgres", Pg, Some(|_| boxed(Postgres::start())), SERVER),
        log("mysql", MySql, Some(|_| boxed(MariaDb::start())), SERVER),
        log("redis", Re, Some(|_| boxed(Redis::start())), REDIS),
        // With a synchronous standby.
        log(
            "postgres-cluster",
            Pg,
            Some(|network| boxed(PostgresCluster::start_in(network, Replication::Synchronous))),
            STANDBY,
        ),
        // With a standby that commits do not wait for.
        log(
            "postgres-async",
            Pg,
            Some(|network| boxed(PostgresCluster::start_in(network, Replication::Asynchronous))),
            STANDBY,
        ),
        // Three nodes of MariaDB.
        log("galera", MySql, Some(|network| boxed(Galera::start_in(network))), NODES),
        // With two standbys: commits wait for one of them, or for both.
        log("postgres-quorum", Pg, Some(|_| boxed(PostgresQuorum::start(1))), AWAY),
        log("postgres-quorum-of-2", Pg, Some(|_| boxed(PostgresQuorum::start(2))), AWAY),
        // With a replica.
        log("mariadb-semi-sync", MySql, Some(|_| boxed(MariaDbReplicas::start(AfterSync))), AWAY),
        log("mariadb-after-commit", MySql, Some(|_| boxed(MariaDbReplicas::start(AfterCommit))), AWAY),
        log("mariadb-timeout", MySql, Some(|_| boxed(MariaDbReplicas::start(AfterSyncOrTimeout))), AWAY),
        log("mariadb-async", MySql, Some(|_| boxed(MariaDbReplicas::start(Acknowledgement::None))), AWAY),
        // With two replicas and three sentinels.
        log("redis-sentinel", Re, Some(|_| boxed(RedisSentinel::start(Product::Redis, &[]))), PROMOTED),
        log(
            "redis-sentinel-min-replicas",
            Re,
            Some(|_| boxed(RedisSentinel::start(Product::Redis, MIN_REPLICAS))),
            PROMOTED,
        ),
        log("redis-sentinel-wait", Re, Some(|_| boxed(RedisSentinel::start(Product::Redis, &[]))), PROMOTED)
            .waiting_for(1),
        log("valkey", Re, Some(|_| boxed(Redis::start_product(Product::Valkey, &[]))), REDIS),
        log("valkey-sentinel", Re, Some(|_| boxed(RedisSentinel::start(Product::Valkey, &[]))), PROMOTED),
        // Three primaries, each with a replica.
        log("redis-cluster", RedisCluster, Some(|_| boxed(RedisReplicas::start(&[]))), PROMOTED),
        log(
            "redis-cluster-min-replicas",
            RedisCluster,
            Some(|_| boxed(RedisReplicas::start(MIN_REPLICAS))),
            PROMOTED,
        ),
    ]
};

const fn log(name: &'static str, kind: Kind, start: Option<Start>, disasters: &'static [Disaster]) -> Log {
    Log { name, kind, start, disasters, waits_for: 0 }
}

fn boxed<D: Deployment + 'static>(starting: impl Future<Output = D> + Send + 'static) -> Starting {
    Box::pin(async { Box::new(starting.await) as Box<dyn Deployment> })
}

impl Log {
    const fn waiting_for(self, replicas: i64) -> Self {
        Self { waits_for: replicas, ..self }
    }

    pub(crate) fn parse(name: &str) -> Result<&'static Self, String> {
        LOGS.iter().find(|log| log.name == name).ok_or_else(|| format!("`{name}` is not known"))
    }

    /// Whether another server takes over from one that is gone.
    pub(crate) fn is_cluster(&self) -> bool {
        self.disasters.contains(&Disaster::Promote)
    }

    /// SQLite has no server.
    pub(crate) fn has_server(&self) -> bool {
        self.start.is_some()
    }
}

impl Kind {
    /// What the proxy in front of a server speaks.
    pub(crate) fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Sqlite | Self::RedisCluster | Self::Naive => None,
            Self::Postgres => Some(Protocol::Postgres),
            Self::MySql => Some(Protocol::MySql),
            Self::Redis => Some(Protocol::Redis),
        }
    }

    pub(crate) fn has_transactions(self) -> bool {
        !matches!(self, Self::Redis | Self::RedisCluster)
    }

    pub(crate) fn has_inbox(self) -> bool {
        self.has_transactions() && self != Self::Naive
    }
}
