//! The logs under test. A new cluster is a line here, and a file in `tests/src/servers`.

use std::pin::Pin;

use ferro_idem_tests::proxy::Protocol;
use ferro_idem_tests::servers::{Deployment, Galera, MariaDb, Postgres, PostgresCluster, Redis, Replication};

use crate::disasters::Disaster;

/// A log under test: what it runs on, and what can happen to that.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Starts the servers. `None` if there are none.
    pub(crate) start: Option<fn() -> Starting>,
    pub(crate) disasters: &'static [Disaster],
}

/// Which log the workers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MySql,
    Redis,
    /// A log written in a hurry over SQLite.
    Naive,
}

pub(crate) type Starting = Pin<Box<dyn Future<Output = Box<dyn Deployment>> + Send>>;

static LOGS: [Log; 8] = {
    use Disaster::{Absence, Drops, Failover, Freeze, Promote, ReadOnly, RowLocks, TableLock};
    use Kind::{MySql, Naive, Postgres as Pg, Redis as Re, Sqlite};

    const FILE: &[Disaster] = &[TableLock, Drops];
    const SERVER: &[Disaster] = &[TableLock, RowLocks, Freeze, Failover, ReadOnly, Drops];
    const REDIS: &[Disaster] = &[Freeze, Failover, ReadOnly, Drops];
    const NODES: &[Disaster] = &[Promote, Drops];
    const STANDBY: &[Disaster] = &[Promote, Absence, Drops];

    [
        log("sqlite", Sqlite, None, FILE),
        log("naive", Naive, None, FILE),
        log("postgres", Pg, Some(|| boxed(Postgres::start())), SERVER),
        log("mysql", MySql, Some(|| boxed(MariaDb::start())), SERVER),
        log("redis", Re, Some(|| boxed(Redis::start())), REDIS),
        // With a synchronous standby.
        log(
            "postgres-cluster",
            Pg,
            Some(|| boxed(PostgresCluster::start(Replication::Synchronous))),
            STANDBY,
        ),
        // With a standby that commits do not wait for.
        log("postgres-async", Pg, Some(|| boxed(PostgresCluster::start(Replication::Asynchronous))), STANDBY),
        // Three nodes of MariaDB.
        log("galera", MySql, Some(|| boxed(Galera::start())), NODES),
    ]
};

const fn log(
    name: &'static str,
    kind: Kind,
    start: Option<fn() -> Starting>,
    disasters: &'static [Disaster],
) -> Log {
    Log { name, kind, start, disasters }
}

fn boxed<D: Deployment + 'static>(starting: impl Future<Output = D> + Send + 'static) -> Starting {
    Box::pin(async { Box::new(starting.await) as Box<dyn Deployment> })
}

impl Log {
    pub(crate) fn parse(name: &str) -> Result<&'static Self, String> {
        LOGS.iter().find(|log| log.name == name).ok_or_else(|| format!("`{name}` is not known"))
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
            Self::Sqlite | Self::Naive => None,
            Self::Postgres => Some(Protocol::Postgres),
            Self::MySql => Some(Protocol::MySql),
            Self::Redis => Some(Protocol::Redis),
        }
    }

    pub(crate) fn has_transactions(self) -> bool {
        self != Self::Redis
    }

    pub(crate) fn has_inbox(self) -> bool {
        !matches!(self, Self::Redis | Self::Naive)
    }
}
