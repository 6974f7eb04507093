//! The stores that have a server.

use ferro_idem::{MySqlLog, PostgresLog, RedisLog};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::{MariaDb, Postgres, Redis, Server};
use redis::aio::ConnectionManager;
use sqlx::mysql::{MySqlConnection, MySqlPoolOptions};
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, Pool};

use crate::database::{Database, Held};

const REFUSE: &str =
    "ALTER TABLE stripe_processed_events ADD CONSTRAINT known CHECK (event_type <> 'refused')";

fn insert(ids: &[String]) -> AssertSqlSafe<String> {
    let rows: Vec<String> = ids.iter().map(|id| format!("('{id}', '')")).collect();
    AssertSqlSafe(format!(
        "INSERT INTO stripe_processed_events (event_id, event_type) VALUES {}",
        rows.join(", ")
    ))
}

fn url_through(proxy: Option<&Proxy>, url: &str) -> String {
    proxy.map_or_else(|| url.to_owned(), |proxy| proxy.url(url))
}

/// Opens every connection that the pool may have.
async fn fill<D: sqlx::Database>(pool: &Pool<D>) {
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        connections.push(pool.acquire().await.expect("the server is up"));
    }
}

pub(crate) struct OnPostgres {
    server: Postgres,
    url: String,
}

impl OnPostgres {
    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the server is up")
    }
}

impl Database for OnPostgres {
    type Log = PostgresLog;

    async fn start() -> Self {
        let server = Postgres::start().await;
        let url = server.fresh_database().await;
        let database = Self { server, url };
        let log = database.open(None, 1).await;
        log.create_table().await.expect("the table can be created");
        log.pool().close().await;
        database
    }

    async fn open(&self, proxy: Option<&Proxy>, connections: u32) -> Self::Log {
        let pool = PgPoolOptions::new().max_connections(connections);
        let pool = pool.connect(&url_through(proxy, &self.url)).await.expect("the server is up");
        fill(&pool).await;
        PostgresLog::new(pool)
    }

    fn without_group_commit(log: Self::Log) -> Self::Log {
        log.without_group_commit()
    }

    fn server(&self) -> Option<(Protocol, &Server)> {
        Some((Protocol::Postgres, self.server.server()))
    }

    async fn lock_table(&self) -> Held {
        let mut connection = self.connect().await;
        let lock = "BEGIN; LOCK TABLE stripe_processed_events IN SHARE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.expect("it can be locked");
        Box::new(connection)
    }

    async fn lock_rows(&self, ids: &[String]) -> Held {
        let mut connection = self.connect().await;
        connection.execute("BEGIN").await.expect("a transaction can begin");
        connection.execute(insert(ids)).await.expect("they can be inserted");
        Box::new(connection)
    }

    async fn waiting(&self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 =
            sqlx::query_scalar(waiting).fetch_one(&mut self.connect().await).await.unwrap_or(0);
        usize::try_from(waiting).unwrap_or(0)
    }

    async fn refuse(&self) {
        self.connect().await.execute(REFUSE).await.expect("the constraint can be added");
    }
}

pub(crate) struct OnMariaDb {
    server: MariaDb,
    url: String,
}

impl OnMariaDb {
    async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url).await.expect("the server is up")
    }
}

impl Database for OnMariaDb {
    type Log = MySqlLog;

    async fn start() -> Self {
        let server = MariaDb::start().await;
        let url = server.fresh_database().await;
        let database = Self { server, url };
        let log = database.open(None, 1).await;
        log.create_table().await.expect("the table can be created");
        log.pool().close().await;
        database
    }

    async fn open(&self, proxy: Option<&Proxy>, connections: u32) -> Self::Log {
        let pool = MySqlPoolOptions::new().max_connections(connections);
        let pool = pool.connect(&url_through(proxy, &self.url)).await.expect("the server is up");
        fill(&pool).await;
        MySqlLog::new(pool)
    }

    fn without_group_commit(log: Self::Log) -> Self::Log {
        log.without_group_commit()
    }

    fn server(&self) -> Option<(Protocol, &Server)> {
        Some((Protocol::MySql, self.server.server()))
    }

    async fn lock_table(&self) -> Held {
        let mut connection = self.connect().await;
        connection.execute("LOCK TABLES stripe_processed_events WRITE").await.expect("it can be locked");
        Box::new(connection)
    }

    async fn lock_rows(&self, ids: &[String]) -> Held {
        let mut connection = self.connect().await;
        connection.execute("BEGIN").await.expect("a transaction can begin");
        connection.execute(insert(ids)).await.expect("they can be inserted");
        Box::new(connection)
    }

    async fn waiting(&self) -> usize {
        let waiting = "SELECT count(*) FROM information_schema.processlist \
             WHERE command NOT IN ('Sleep', 'Daemon') AND id <> connection_id() AND db = database()";
        let waiting: i64 =
            sqlx::query_scalar(waiting).fetch_one(&mut self.connect().await).await.unwrap_or(0);
        usize::try_from(waiting).unwrap_or(0)
    }

    async fn refuse(&self) {
        self.connect().await.execute(REFUSE).await.expect("the constraint can be added");
    }
}

pub(crate) struct OnRedis(Redis);

impl Database for OnRedis {
    type Log = RedisLog<ConnectionManager>;

    async fn start() -> Self {
        Self(Redis::start().await)
    }

    async fn open(&self, proxy: Option<&Proxy>, _: u32) -> Self::Log {
        let client = redis::Client::open(url_through(proxy, &self.0.url())).expect("it is a URL");
        RedisLog::new(client.get_connection_manager().await.expect("the server is up"))
    }

    fn server(&self) -> Option<(Protocol, &Server)> {
        Some((Protocol::Redis, self.0.server()))
    }
}
