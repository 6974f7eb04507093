//! The store under test, and the effects.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ferro_idem::{MySqlLog, PostgresLog, SqliteLog};
use ferro_idem_tests::proxy::Proxy;
use ferro_idem_tests::servers::{Deployment, Folder, Server};
use sqlx::{Connection, MySqlConnection, MySqlPool, PgConnection, PgPool};

use crate::args::{Args, Guarantee};
use crate::effects::{CREATE_TABLE, EVENTS_IN_TABLE, Effect, read_file};
use crate::handlers::inbox;
use crate::logs::Kind;
use crate::partitions::network;
use crate::timeline::Timeline;

/// The database of the log's tables and of the effects.
const CREATE_DATABASE: &str = "CREATE DATABASE rig";

/// The workers' user, who may not write while the server is read-only, as root may.
const CREATE_USER: &str =
    "CREATE USER app; GRANT ALL ON *.* TO app; REVOKE SUPER, READ ONLY ADMIN ON *.* FROM app";

/// A database, the proxy in front of it, and the effects.
pub(crate) struct Store {
    pub(crate) kind: Kind,
    /// `None` if there is no server.
    pub(crate) deployment: Option<Box<dyn Deployment>>,
    /// `None` if there is no server.
    pub(crate) proxy: Option<Proxy>,
    folder: Folder,
    guarantee: Guarantee,
    /// Whether another server takes over from one that is lost.
    pub(crate) is_cluster: bool,
    timeline: Arc<Timeline>,
}

impl Store {
    /// Starts the server and creates the tables.
    pub(crate) async fn start(args: &Args, timeline: Arc<Timeline>) -> Self {
        let kind = args.log.kind;
        let deployment = match args.log.start {
            Some(start) => Some(start(network(args)).await),
            None => None,
        };
        let proxy = match (&deployment, kind.protocol()) {
            (Some(deployment), Some(protocol)) => {
                let address = deployment.address().await;
                let proxy = Proxy::before(protocol, address.port()).await;
                proxy.lead_to_address(address);
                Some(proxy)
            }
            _ => None,
        };
        let (guarantee, is_cluster) = (args.guarantee, args.log.is_cluster());
        let store = Self { kind, deployment, proxy, folder: Folder::new(), guarantee, is_cluster, timeline };
        store.create_tables().await;
        store
    }

    async fn create_tables(&self) {
        let url = self.url().await;
        match self.kind {
            Kind::Sqlite | Kind::Naive => {
                let log = SqliteLog::open(&url).await.expect("the database can be created");
                sqlx::query(CREATE_TABLE).execute(log.pool()).await.expect("the table can be created");
                inbox(&log).create_tables().await.expect("the inbox can be created");
                // Only the workers use the file.
                log.pool().close().await;
            }
            Kind::Postgres => {
                let administrative = url.replace("/rig", "/postgres");
                let mut connection = PgConnection::connect(&administrative).await.expect("the server is up");
                sqlx::query(CREATE_DATABASE).execute(&mut connection).await.expect("there is a database");
                let log = PostgresLog::new(PgPool::connect(&url).await.expect("the server is up"));
                log.create_table().await.expect("the table can be created");
                sqlx::query(CREATE_TABLE).execute(log.pool()).await.expect("the table can be created");
                inbox(&log).create_tables().await.expect("the inbox can be created");
            }
            Kind::MySql => {
                let administrative = url.replace("/rig", "/mysql");
                let mut connection =
                    MySqlConnection::connect(&administrative).await.expect("the server is up");
                sqlx::query(CREATE_DATABASE).execute(&mut connection).await.expect("there is a database");
                let log = MySqlLog::new(MySqlPool::connect(&url).await.expect("the server is up"));
                log.create_table().await.expect("the table can be created");
                sqlx::query(CREATE_TABLE).execute(log.pool()).await.expect("the table can be created");
                inbox(&log).create_tables().await.expect("the inbox can be created");
                sqlx::raw_sql(CREATE_USER).execute(log.pool()).await.expect("the user can be created");
            }
            Kind::Redis => {}
        }
    }

    /// The administrator's URL of the database, on the server where clients go.
    pub(crate) async fn url(&self) -> String {
        let address = match &self.deployment {
            Some(deployment) => deployment.address().await,
            None => (Ipv4Addr::LOCALHOST, 0).into(),
        };
        match self.kind {
            Kind::Sqlite | Kind::Naive => self.folder.path().join("events.db").display().to_string(),
            Kind::Postgres => format!("postgres://postgres@{address}/rig"),
            Kind::MySql => format!("mysql://root@{address}/rig"),
            Kind::Redis => format!("redis://{address}"),
        }
    }

    /// The URL for the workers, through the proxy.
    pub(crate) async fn workers_url(&self) -> String {
        let (Some(proxy), Some(deployment)) = (&self.proxy, &self.deployment) else {
            return self.url().await;
        };
        let url = self.url().await.replacen("root@", "app@", 1);
        let of_proxy = format!("127.0.0.1:{}", proxy.port());
        url.replacen(&deployment.address().await.to_string(), &of_proxy, 1)
    }

    /// The server's process, if there is one, and no other takes over from it.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.deployment.as_ref()?.alone()
    }

    /// Closes the clients' connections. Those of a cluster in which each node takes writes go to another one.
    pub(crate) fn cut(&self, proxy: &Proxy) {
        if let Some(next) = self.deployment.as_ref().and_then(|deployment| deployment.next()) {
            proxy.lead_to_address(next);
        }
        proxy.cut();
    }

    /// Kills the server and restarts it. Clients of a cluster in which others take writes go on with one of them.
    /// Returns false if there is no server.
    pub(crate) async fn crash(&self) -> bool {
        let Some(deployment) = &self.deployment else { return false };
        deployment.crash(&|address| self.move_to(address)).await;
        true
    }

    /// New connections go to the server at this address. Clients do not see their old ones close.
    pub(crate) fn move_to(&self, address: SocketAddr) {
        self.timeline.moved();
        if let Some(proxy) = &self.proxy {
            proxy.lead_to_address(address);
            self.lose_connections(proxy);
        }
    }

    /// Nothing comes on old connections any more.
    pub(crate) fn lose_connections(&self, proxy: &Proxy) {
        // The connection of a Redis log is the application's, and redis-rs keeps one that does not answer.
        if self.kind == Kind::Redis {
            proxy.cut();
        } else {
            proxy.strand();
        }
    }

    /// The file with the effects outside of the database.
    pub(crate) fn effects_file(&self) -> PathBuf {
        self.folder.path().join("effects")
    }

    /// All effects.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        if !self.guarantee.is_in_database() {
            return read_file(&self.effects_file());
        }
        let events = self.events_in_table().await.expect("the effects can be read");
        events.into_iter().map(|event| Effect { event, token: 0, held_until: 0, at: None }).collect()
    }

    async fn events_in_table(&self) -> Result<Vec<String>, sqlx::Error> {
        let url = self.url().await;
        match self.kind {
            Kind::Sqlite | Kind::Naive => {
                let log = SqliteLog::open(&url).await.expect("the database can be opened");
                sqlx::query_scalar(EVENTS_IN_TABLE).fetch_all(log.pool()).await
            }
            Kind::Postgres => {
                sqlx::query_scalar(EVENTS_IN_TABLE).fetch_all(&PgPool::connect(&url).await?).await
            }
            Kind::MySql => {
                sqlx::query_scalar(EVENTS_IN_TABLE).fetch_all(&MySqlPool::connect(&url).await?).await
            }
            Kind::Redis => Ok(Vec::new()),
        }
    }
}
