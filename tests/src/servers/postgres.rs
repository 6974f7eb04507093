//! PostgreSQL.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use super::network::Place;
use super::process::{Server, program};
use super::until;

/// Shared memory is in the server's folder, which is removed. A killed server leaves the system's shared memory behind.
const USUAL: [&str; 2] = ["max_connections=600", "dynamic_shared_memory_type=mmap"];

/// The clients of a server at another place come from there.
const TRUST_ALL: &str = "host all all all trust\nhost replication all all trust\n";

/// A PostgreSQL server.
///
/// It runs without `fsync`: the kernel keeps what was written before a SIGKILL, and no test cuts the power.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&["fsync=off"]).await
    }

    /// Starts one with these settings in addition to the usual ones.
    pub async fn start_with(settings: &[&str]) -> Self {
        Self::start_at(Place::HERE, settings).await
    }

    /// The same at another place.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub async fn start_at(place: Place, settings: &[&str]) -> Self {
        let mut server = Server::at(place, program("postgres", "postgresql"), Some("postgres"));
        // An immediate shutdown, which frees its shared memory.
        server.ends_by(Signal::SIGQUIT);
        let data = server.folder().join("data");
        let initdb = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"];
        server.run(
            &program("initdb", "postgresql"),
            initdb.map(OsString::from).into_iter().chain([data.clone().into()]),
        );
        std::fs::write(data.join("pg_hba.conf"), format!("local all all trust\n{TRUST_ALL}")).unwrap();
        Self::start_in(server, data, settings).await
    }

    /// Starts a standby of this server that streams from it under this name, with all of its databases.
    pub async fn start_standby(&self, place: Place, name: &str) -> Self {
        let mut server = Server::at(place, program("postgres", "postgresql"), Some("postgres"));
        server.ends_by(Signal::SIGQUIT);
        let data = server.folder().join("data");
        let address = self.server.address();
        let (host, port) = (address.ip(), address.port());
        let primary = format!("host={host} port={port} user=postgres application_name={name}");
        let copy = ["-d", &primary, "-R", "-X", "stream", "-c", "fast", "-D"];
        server.run(
            &program("pg_basebackup", "postgresql"),
            copy.map(OsString::from).into_iter().chain([data.clone().into()]),
        );
        let primary = format!("primary_conninfo={primary}");
        // It connects again soon after the primary was started again.
        Self::start_in(server, data, &["fsync=off", "wal_retrieve_retry_interval=300ms", &primary]).await
    }

    async fn start_in(mut server: Server, data: PathBuf, settings: &[&str]) -> Self {
        let mut arguments: Vec<OsString> =
            vec!["-D".into(), data.into(), "-k".into(), server.folder().into()];
        arguments.extend(["-p".into(), server.port().to_string().into()]);
        arguments.extend(["-c".into(), format!("listen_addresses={}", server.address().ip()).into()]);
        for setting in USUAL.iter().chain(settings) {
            arguments.extend(["-c".into(), setting.into()]);
        }
        server.start(arguments);
        let server = Self { server, databases: AtomicU32::new(0) };
        server.is_up().await;
        server
    }

    /// The one that all tests of this process share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    ///
    /// If it cannot be created.
    pub async fn fresh_database(&self) -> String {
        let name = format!("fresh_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let created = async {
            let mut connection = PgConnection::connect(&self.url()).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await
        };
        // A server that has crashed says why in its own log, for example that the disk is full.
        created.await.unwrap_or_else(|e| panic!("no new database: {e}\n{}", self.server.last_words()));
        format!("postgres://postgres@{}/{name}", self.server.address())
    }

    /// The URL of its administrative database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.server.address())
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Restarts it after [`Server::kill`], and waits until it has recovered.
    ///
    /// It refuses to start while a backend of the killed server still uses the shared memory, so it is started again
    /// until it stays up.
    pub async fn start_again(&self) {
        self.server.spawn();
        self.is_up().await;
    }

    /// Runs this statement in its administrative database.
    pub(super) async fn tell(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    }

    /// Makes a standby a primary, and returns when it is one.
    pub(super) async fn promote(&self) {
        self.tell("SELECT pg_promote(true, 60)").await;
    }

    async fn is_up(&self) {
        let url = &self.url();
        until("PostgreSQL is up", || async move {
            self.server.keep_up();
            PgConnection::connect(url).await.is_ok()
        })
        .await;
    }
}
