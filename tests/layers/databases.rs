//! The databases, as the logs over sqlx see them.

use std::future::Future;

use ferro_idem::{MySqlLog, PostgresLog, SqlDatabase, SqlLog, SqliteLog};
use ferro_idem_tests::proxy::Protocol;
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool, Transaction};
use tempfile::TempDir;

const EFFECTS: &str = "CREATE TABLE effects (event_id VARCHAR(255) NOT NULL)";

/// An empty database with the full table and a table of effects, and a pool of sqlx on it.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    type Sqlx: SqlDatabase;

    fn fresh() -> impl Future<Output = Self> + Send;

    fn url(&self) -> &str;

    fn log(&self) -> &SqlLog<Self::Sqlx>;

    /// A type under which two ids of the log are one.
    const LOSSY: &str;

    /// Makes the sessions of a connection read-only.
    const READ_ONLY: &str;

    const PROTOCOL: Option<Protocol>;

    fn count(&self, sql: &'static str) -> impl Future<Output = i64> + Send;

    /// Runs statements on a connection of sqlx.
    fn execute(&self, sql: &str) -> impl Future<Output = ()> + Send;

    /// A transaction of another program that has inserted a row for the event `held`.
    fn hold(&self) -> impl Future<Output = Transaction<'static, Self::Sqlx>> + Send;

    /// How many effects an event has.
    fn effects(&self, event_id: &str) -> impl Future<Output = i64> + Send;
}

macro_rules! database {
    (
        $name:ident { $($field:ident: $type:ty),* },
        $sqlx:ty, $log:ty, $placeholder:literal, $lossy:literal, $read_only:literal, $protocol:expr, $begin:literal
    ) => {
        pub(crate) struct $name {
            url: String,
            log: $log,
            $($field: $type,)*
        }

        impl Database for $name {
            type Sqlx = $sqlx;

            async fn fresh() -> Self {
                Self::new().await
            }

            fn url(&self) -> &str {
                &self.url
            }

            fn log(&self) -> &SqlLog<$sqlx> {
                &self.log
            }

            const LOSSY: &str = $lossy;

            const READ_ONLY: &str = $read_only;

            const PROTOCOL: Option<Protocol> = $protocol;

            async fn execute(&self, sql: &str) {
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.log.pool()).await.unwrap();
            }

            async fn hold(&self) -> Transaction<'static, $sqlx> {
                let insert = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('held', '')";
                let mut transaction = self.log.pool().begin_with($begin).await.unwrap();
                sqlx::query(insert).execute(&mut *transaction).await.unwrap();
                transaction
            }

            async fn count(&self, sql: &'static str) -> i64 {
                sqlx::query_scalar(sql).fetch_one(self.log.pool()).await.unwrap()
            }

            async fn effects(&self, event_id: &str) -> i64 {
                let count = concat!("SELECT count(*) FROM effects WHERE event_id = ", $placeholder);
                sqlx::query_scalar(count).bind(event_id).fetch_one(self.log.pool()).await.unwrap()
            }
        }
    };
}

database!(
    OnPostgres { own: Option<Postgres> },
    sqlx::Postgres,
    PostgresLog,
    "$1",
    "VARCHAR(20)",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    Some(Protocol::Postgres),
    "BEGIN"
);
database!(
    OnMariaDb {},
    sqlx::MySql,
    MySqlLog,
    "?",
    "VARCHAR(255)",
    "SET SESSION TRANSACTION READ ONLY",
    Some(Protocol::MySql),
    "START TRANSACTION"
);
database!(
    OnSqlite { _folder: TempDir },
    sqlx::Sqlite,
    SqliteLog,
    "?",
    "INTEGER",
    "PRAGMA query_only = 1",
    None,
    "BEGIN IMMEDIATE"
);

impl OnPostgres {
    async fn new() -> Self {
        Self::at(Postgres::shared().await.fresh_database().await, None).await
    }

    /// On a server of its own, which the test may kill.
    pub(crate) async fn on_own_server() -> Self {
        let own = Postgres::start().await;
        Self::at(own.fresh_database().await, Some(own)).await
    }

    async fn at(url: String, own: Option<Postgres>) -> Self {
        let pool: PgPool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
        let log = PostgresLog::new(pool);
        log.create_table().await.unwrap();
        sqlx::raw_sql(EFFECTS).execute(log.pool()).await.unwrap();
        Self { url, log, own }
    }

    pub(crate) fn own(&self) -> &Postgres {
        self.own.as_ref().unwrap()
    }
}

impl OnMariaDb {
    async fn new() -> Self {
        let url = MariaDb::shared().await.fresh_database().await;
        let pool: MySqlPool = MySqlPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
        let log = MySqlLog::new(pool);
        log.create_table().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("{EFFECTS} ENGINE=InnoDB"))).execute(log.pool()).await.unwrap();
        Self { url, log }
    }
}

impl OnSqlite {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
        let pool: SqlitePool = SqlitePoolOptions::new().max_connections(4).connect(&url).await.unwrap();
        let log = SqliteLog::new(pool);
        sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(log.pool()).await.unwrap();
        log.create_table().await.unwrap();
        sqlx::raw_sql(EFFECTS).execute(log.pool()).await.unwrap();
        Self { url, log, _folder: folder }
    }
}
