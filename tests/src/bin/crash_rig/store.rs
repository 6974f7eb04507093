//! The store under test, and the effects.

use std::path::PathBuf;

use ferro_idem::{MySqlLog, PostgresLog, SqliteLog};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::{
    Folder, Galera, MariaDb, Postgres, PostgresCluster, Redis, Replication, Server,
};
use sqlx::{MySqlPool, PgPool};

use crate::args::{Args, Guarantee, Log};
use crate::effects::{CREATE_TABLE, EVENTS_IN_TABLE, Effect, read_file};
use crate::handlers::inbox;

pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(Postgres, String),
    /// With the database's name.
    PostgresCluster(Box<PostgresCluster>, String),
    MySql(MariaDb, String),
    /// With the database's name.
    Galera(Galera, String),
    Redis(Redis),
}

/// The workers' user, who may not write while the server is read-only, as root may.
const CREATE_USER: &str =
    "CREATE USER app; GRANT ALL ON *.* TO app; REVOKE SUPER, READ ONLY ADMIN ON *.* FROM app";

/// A database, the proxy in front of it, and the effects.
pub(crate) struct Store {
    pub(crate) database: Database,
    /// `None` if there is no server.
    pub(crate) proxy: Option<Proxy>,
    folder: Folder,
    guarantee: Guarantee,
}

impl Store {
    /// Starts the server and creates the tables.
    pub(crate) async fn start(args: &Args) -> Self {
        let folder = Folder::new();
        let (database, way) = match args.log {
            Log::Sqlite | Log::Naive => {
                let path = folder.path().join("events.db");
                let log = SqliteLog::open(&path).await.expect("the database can be created");
                sqlx::query(CREATE_TABLE).execute(log.pool()).await.expect("the table can be created");
                inbox(&log).create_tables().await.expect("the inbox can be created");
                // Only the workers use the file.
                log.pool().close().await;
                (Database::Sqlite(path), None)
            }
            Log::Postgres => {
                let server = Postgres::start().await;
                let url = server.fresh_database().await;
                create_postgres_tables(&url).await;
                let way = (Protocol::Postgres, server.server().port());
                (Database::Postgres(server, url), Some(way))
            }
            Log::PostgresCluster | Log::PostgresAsync => {
                let replication = match args.log {
                    Log::PostgresAsync => Replication::Asynchronous,
                    _ => Replication::Synchronous,
                };
                let cluster = PostgresCluster::start(replication).await;
                let database = cluster.fresh_database().await;
                create_postgres_tables(&cluster.url(&database).await).await;
                let way = (Protocol::Postgres, cluster.port().await);
                (Database::PostgresCluster(Box::new(cluster), database), Some(way))
            }
            Log::MySql => {
                let server = MariaDb::start().await;
                let url = server.fresh_database().await;
                create_mysql_tables(&url).await;
                let way = (Protocol::MySql, server.server().port());
                (Database::MySql(server, url), Some(way))
            }
            Log::Galera => {
                let cluster = Galera::start().await;
                let url = cluster.current().fresh_database().await;
                create_mysql_tables(&url).await;
                let way = (Protocol::MySql, cluster.current().server().port());
                let database = url.rsplit('/').next().unwrap_or_default().to_owned();
                (Database::Galera(cluster, database), Some(way))
            }
            Log::Redis => {
                let server = Redis::start().await;
                let way = (Protocol::Redis, server.server().port());
                (Database::Redis(server), Some(way))
            }
        };
        let proxy = match way {
            Some((protocol, port)) => Some(Proxy::before(protocol, port).await),
            None => None,
        };
        Self { database, proxy, folder, guarantee: args.guarantee }
    }

    /// The URL for the workers, through the proxy.
    pub(crate) fn url(&self) -> String {
        let url = match &self.database {
            Database::Sqlite(path) => path.display().to_string(),
            Database::Postgres(_, url) => url.clone(),
            // The proxy's port replaces this one.
            Database::PostgresCluster(_, database) => format!("postgres://postgres@127.0.0.1:1/{database}"),
            Database::MySql(_, url) => url.replacen("root@", "app@", 1),
            Database::Galera(_, database) => format!("mysql://app@127.0.0.1:1/{database}"),
            Database::Redis(server) => server.url(),
        };
        self.proxy.as_ref().map_or_else(|| url.clone(), |proxy| proxy.url(&url))
    }

    /// The server's process, if there is one, and no other takes over from it.
    pub(crate) fn server(&self) -> Option<&Server> {
        Some(match &self.database {
            Database::Sqlite(_) | Database::PostgresCluster(..) | Database::Galera(..) => return None,
            Database::Postgres(server, _) => server.server(),
            Database::MySql(server, _) => server.server(),
            Database::Redis(server) => server.server(),
        })
    }

    /// Closes the clients' connections. Those of a cluster in which each node takes writes go to another one.
    pub(crate) fn cut(&self, proxy: &Proxy) {
        if let Database::Galera(cluster, _) = &self.database {
            proxy.lead_to(cluster.next());
        }
        proxy.cut();
    }

    /// Kills the server and restarts it. Clients of a Galera cluster go on with another node meanwhile. Returns false
    /// if there is no server.
    pub(crate) async fn crash(&self) -> bool {
        match &self.database {
            Database::Sqlite(_) => return false,
            Database::Postgres(server, _) => {
                server.server().kill();
                server.start_again().await;
            }
            Database::PostgresCluster(cluster, _) => cluster.crash().await,
            Database::MySql(server, _) => {
                server.server().kill();
                server.start_again().await;
            }
            Database::Galera(cluster, _) => cluster.crash(|port| self.move_to(port)).await,
            Database::Redis(server) => {
                server.server().kill();
                server.start_again().await;
            }
        }
        true
    }

    /// New connections go to the server on this port. Clients do not see their old ones close.
    pub(crate) fn move_to(&self, port: u16) {
        if let Some(proxy) = &self.proxy {
            proxy.lead_to(port);
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
        let events: Result<Vec<String>, sqlx::Error> = match &self.database {
            Database::Sqlite(path) => {
                let log = SqliteLog::open(path).await.expect("the database can be opened");
                sqlx::query_scalar(EVENTS_IN_TABLE).fetch_all(log.pool()).await
            }
            Database::Postgres(_, url) => events_in_postgres(url).await,
            Database::PostgresCluster(cluster, database) => {
                events_in_postgres(&cluster.url(database).await).await
            }
            Database::MySql(_, url) => events_in_mysql(url).await,
            Database::Galera(cluster, database) => {
                let port = cluster.current().server().port();
                events_in_mysql(&format!("mysql://root@127.0.0.1:{port}/{database}")).await
            }
            Database::Redis(_) => Ok(Vec::new()),
        };
        let events = events.expect("the effects can be read");
        events.into_iter().map(|event| Effect { event, token: 0, held_until: 0, at: None }).collect()
    }
}

async fn create_postgres_tables(url: &str) {
    let log = PostgresLog::new(PgPool::connect(url).await.expect("the server is up"));
    log.create_table().await.expect("the table can be created");
    sqlx::query(CREATE_TABLE).execute(log.pool()).await.expect("the table can be created");
    inbox(&log).create_tables().await.expect("the inbox can be created");
}

async fn create_mysql_tables(url: &str) {
    let log = MySqlLog::new(MySqlPool::connect(url).await.expect("the server is up"));
    log.create_table().await.expect("the table can be created");
    sqlx::query(CREATE_TABLE).execute(log.pool()).await.expect("the table can be created");
    inbox(&log).create_tables().await.expect("the inbox can be created");
    sqlx::raw_sql(CREATE_USER).execute(log.pool()).await.expect("the user can be created");
}

async fn events_in_postgres(url: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(EVENTS_IN_TABLE).fetch_all(&PgPool::connect(url).await?).await
}

async fn events_in_mysql(url: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(EVENTS_IN_TABLE).fetch_all(&MySqlPool::connect(url).await?).await
}
