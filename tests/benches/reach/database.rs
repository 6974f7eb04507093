//! The stores, and the faults that each can have.

use std::any::Any;
use std::sync::OnceLock;

use ferro_idem::{ClaimLog, MemoryProcessedLog, ProcessedEventLog, SqliteLog};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::Server;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions};
use sqlx::{Connection, Executor};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) use crate::servers::{OnMariaDb, OnPostgres, OnRedis};

/// A connection that holds a lock until it is dropped.
pub(crate) type Held = Box<dyn Any + Send>;

/// A store with a table for the log.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    type Log: ProcessedEventLog + ClaimLog + Clone + 'static;

    async fn start() -> Self;

    /// A log with connections of its own, through the proxy if there is one.
    async fn open(&self, proxy: Option<&Proxy>, connections: u32) -> Self::Log;

    /// The log with a statement for each call.
    fn without_group_commit(log: Self::Log) -> Self::Log {
        log
    }

    /// The protocol and the process, if there is a server.
    fn server(&self) -> Option<(Protocol, &Server)> {
        None
    }

    /// Keeps everybody else from writing the table.
    async fn lock_table(&self) -> Held {
        unreachable!("this store has no table locks")
    }

    /// Holds the rows of these events, and gives them up without having written them.
    async fn lock_rows(&self, _ids: &[String]) -> Held {
        unreachable!("this store has no row locks")
    }

    /// How many statements wait at the server.
    async fn waiting(&self) -> usize {
        0
    }

    /// Makes the table refuse events of the type `refused`.
    async fn refuse(&self) {
        unreachable!("this store has no constraints")
    }
}

/// A log for the row, with or without group commit.
pub(crate) async fn open<D: Database>(
    database: &D,
    group_commit: bool,
    proxy: Option<&Proxy>,
    connections: u32,
) -> D::Log {
    let log = database.open(proxy, connections).await;
    let log = if group_commit { log } else { D::without_group_commit(log) };
    // The first call looks at the table.
    log.try_mark_processed("warm").await.expect("the store is up");
    log
}

/// The proxy in front of the store's server, if it has one.
///
/// It has a runtime of its own: while it stalls it keeps a task for each connection that was ever opened, and they
/// must not count as the log's.
pub(crate) async fn proxy_before<D: Database>(database: &D) -> Option<Proxy> {
    static NETWORK: OnceLock<Runtime> = OnceLock::new();
    let (protocol, server) = database.server()?;
    let network = NETWORK.get_or_init(|| Runtime::new().expect("a runtime can be made"));
    Some(network.spawn(Proxy::before(protocol, server.port())).await.expect("the proxy starts"))
}

pub(crate) struct OnMemory(MemoryProcessedLog);

impl Database for OnMemory {
    type Log = MemoryProcessedLog;

    async fn start() -> Self {
        Self(MemoryProcessedLog::new())
    }

    async fn open(&self, _: Option<&Proxy>, _: u32) -> Self::Log {
        self.0.clone()
    }
}

pub(crate) struct OnSqlite(TempDir);

impl OnSqlite {
    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(self.0.path().join("events.db"))
    }
}

impl Database for OnSqlite {
    type Log = SqliteLog;

    async fn start() -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let log = SqliteLog::open(folder.path().join("events.db")).await.expect("the file can be created");
        log.pool().close().await;
        Self(folder)
    }

    async fn open(&self, _: Option<&Proxy>, connections: u32) -> Self::Log {
        let pool = SqlitePoolOptions::new().max_connections(connections);
        SqliteLog::new(pool.connect_with(self.options()).await.expect("the file can be opened"))
    }

    fn without_group_commit(log: Self::Log) -> Self::Log {
        log.without_group_commit()
    }

    async fn lock_table(&self) -> Held {
        let mut connection =
            SqliteConnection::connect_with(&self.options()).await.expect("the file can be opened");
        connection.execute("BEGIN IMMEDIATE").await.expect("it can be locked");
        Box::new(connection)
    }
}
