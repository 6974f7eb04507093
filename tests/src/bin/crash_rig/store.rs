//! The store under test, and the effects.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ferro_idem::{MySqlLog, PostgresLog, RedisLog, SqliteLog};
use ferro_idem_tests::proxy::Proxy;
use ferro_idem_tests::servers::{Deployment, Folder, Server};
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
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
    /// `None` if there is no server, or if clients find the servers by themselves.
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
            Kind::Redis | Kind::RedisCluster => {}
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
            Kind::Redis | Kind::RedisCluster => format!("redis://{address}"),
        }
    }

    /// The URL for the workers, through the proxy.
    pub(crate) async fn workers_url(&self) -> String {
        if let (Some(deployment), Kind::RedisCluster) = (&self.deployment, self.kind) {
            let nodes = deployment.addresses().await;
            return nodes.iter().map(|node| format!("redis://{node}")).collect::<Vec<_>>().join(",");
        }
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
            Kind::Redis | Kind::RedisCluster => Ok(Vec::new()),
        }
    }

    /// How many of these events are not marked.
    pub(crate) async fn forgotten(&self, acknowledged: &[String]) -> u64 {
        let marked: HashSet<Vec<u8>> = match self.kind {
            Kind::Sqlite | Kind::Naive => return 0,
            Kind::Postgres => {
                let pool = PgPool::connect(&self.url().await).await.expect("the server is up");
                let marked =
                    sqlx::query_scalar(MARKED).fetch_all(&pool).await.expect("the marks can be read");
                marked.into_iter().map(String::into_bytes).collect()
            }
            Kind::MySql => {
                let pool = MySqlPool::connect(&self.url().await).await.expect("the server is up");
                let marked =
                    sqlx::query_scalar(MARKED).fetch_all(&pool).await.expect("the marks can be read");
                marked.into_iter().collect()
            }
            Kind::Redis => {
                let client = redis::Client::open(self.url().await).expect("it is a URL");
                let connection = client.get_multiplexed_async_connection().await.expect("the server is up");
                marked_in_redis(connection, acknowledged).await
            }
            Kind::RedisCluster => {
                let client = ClusterClient::new(self.workers_url().await.split(',')).expect("they are URLs");
                marked_in_redis(client.get_async_connection().await.expect("the cluster is up"), acknowledged)
                    .await
            }
        };
        let forgotten = acknowledged.iter().filter(|event| !marked.contains(event.as_bytes()));
        u64::try_from(forgotten.count()).unwrap_or(u64::MAX)
    }
}

/// Events that count as processed.
const MARKED: &str = "SELECT event_id FROM stripe_processed_events WHERE state = 1";

async fn marked_in_redis(mut connection: impl ConnectionLike, events: &[String]) -> HashSet<Vec<u8>> {
    let mut marked = HashSet::new();
    for event in events {
        let key = format!("{}{event}", <RedisLog>::DEFAULT_KEY_PREFIX);
        let state =
            redis::cmd("HGET").arg(key).arg("state").query_async::<Option<String>>(&mut connection).await;
        if state.expect("the server is up").as_deref() == Some("1") {
            marked.insert(event.clone().into_bytes());
        }
    }
    marked
}
