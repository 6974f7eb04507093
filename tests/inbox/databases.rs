//! Empty inboxes for the tests, on each database.

use std::time::Duration;

use ferro_idem::__inbox::{InboxDatabase, InboxStore, NewDelivery, TakeLimits, Taken};
use ferro_idem::{EventRef, SqlLog};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// The sender of the tests.
pub(crate) const SENDER: &str = "github";

/// Longer than a test takes.
pub(crate) const LEASE: Duration = Duration::from_mins(10);

/// An empty database.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    type D: InboxDatabase;

    async fn fresh() -> Self;

    /// A log with a pool of its own.
    async fn open(&self) -> SqlLog<Self::D>;

    async fn run(log: &SqlLog<Self::D>, statement: &str);

    async fn number(log: &SqlLog<Self::D>, query: &str) -> i64;

    /// Makes the rows of a table 10 hours older.
    fn aged(table: &str) -> String;

    /// Stores so many deliveries of a sender, of one order key, in this state. They are due in a thousand seconds, if
    /// they are due at all.
    fn fill(count: u32, order_key: &str, state: i64) -> String;

    /// Makes the server refuse the body of each delivery, as it does when its disk is full. SQLite has no server: its file
    /// is kept from growing.
    const FILL_THE_DISK: &'static str = "";

    /// Undoes [`FILL_THE_DISK`](Self::FILL_THE_DISK).
    const MAKE_ROOM: &'static str = "";

    /// Makes what is parked wait again.
    const BACK_FROM_PARKED: &'static str = "UPDATE webhook_inbox SET state = 0 WHERE state = 2";
}

/// An inbox with its tables.
pub(crate) async fn inbox<T: Database>(database: &T) -> InboxStore<T::D> {
    let store = InboxStore::new(&database.open().await, SENDER);
    store.create_tables().await.unwrap();
    store
}

pub(crate) fn delivery(event_id: &str, order_key: Option<&str>) -> NewDelivery {
    let event = EventRef::new(event_id).unwrap().with_type("push");
    NewDelivery::new(event, order_key, event_id.as_bytes().to_vec())
}

pub(crate) fn limits(events: u32) -> TakeLimits {
    TakeLimits { events, lease: LEASE, max_attempts: 3 }
}

/// Takes with the usual lease.
pub(crate) async fn take<D: InboxDatabase>(store: &InboxStore<D>, events: u32) -> Vec<Taken> {
    store.take(limits(events)).await.unwrap().taken
}

/// The ids of the deliveries, in their order.
pub(crate) fn ids(taken: &[Taken]) -> Vec<&str> {
    taken.iter().map(|taken| &*taken.held.event_id).collect()
}

#[derive(Debug)]
pub(crate) struct OnSqlite(TempDir);

impl Database for OnSqlite {
    type D = sqlx::Sqlite;

    async fn fresh() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> SqlLog<sqlx::Sqlite> {
        open_sqlite(self.0.path(), 4).await
    }

    async fn run(log: &SqlLog<sqlx::Sqlite>, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }

    async fn number(log: &SqlLog<sqlx::Sqlite>, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(log.pool()).await.unwrap()
    }

    fn aged(table: &str) -> String {
        format!("UPDATE {table} SET received_at = received_at - 36000000")
    }

    fn fill(count: u32, order_key: &str, state: i64) -> String {
        format!(
            "WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count})
             INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at)
             SELECT 'github', 'github:fill_' || n, '', {order_key}, {state}, (unixepoch() + 1000) * 1000 FROM g"
        )
    }
}

#[derive(Debug)]
pub(crate) struct OnPostgres(pub(crate) String);

impl Database for OnPostgres {
    type D = sqlx::Postgres;

    async fn fresh() -> Self {
        Self(Postgres::shared().await.fresh_database().await)
    }

    async fn open(&self) -> SqlLog<sqlx::Postgres> {
        SqlLog::new(sqlx::PgPool::connect(&self.0).await.unwrap())
    }

    async fn run(log: &SqlLog<sqlx::Postgres>, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }

    async fn number(log: &SqlLog<sqlx::Postgres>, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(log.pool()).await.unwrap()
    }

    fn aged(table: &str) -> String {
        format!("UPDATE {table} SET received_at = received_at - interval '10 hours'")
    }

    fn fill(count: u32, order_key: &str, state: i64) -> String {
        format!(
            "INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at)
             SELECT 'github', 'github:fill_' || n, '', {order_key}, {state}, now() + interval '1000 s'
             FROM generate_series(1, {count}) n;
             ANALYZE webhook_inbox"
        )
    }

    const FILL_THE_DISK: &'static str = "
        CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE 'could not extend file' USING ERRCODE = 'disk_full';
        END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON webhook_inbox_body FOR EACH ROW EXECUTE FUNCTION disk_is_full()";

    const MAKE_ROOM: &'static str = "DROP TRIGGER full_disk ON webhook_inbox_body";
}

#[derive(Debug)]
pub(crate) struct OnMySql(pub(crate) String);

impl Database for OnMySql {
    type D = sqlx::MySql;

    async fn fresh() -> Self {
        Self(MariaDb::shared().await.fresh_database().await)
    }

    async fn open(&self) -> SqlLog<sqlx::MySql> {
        SqlLog::new(sqlx::MySqlPool::connect(&self.0).await.unwrap())
    }

    async fn run(log: &SqlLog<sqlx::MySql>, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }

    async fn number(log: &SqlLog<sqlx::MySql>, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(log.pool()).await.unwrap()
    }

    fn aged(table: &str) -> String {
        format!("UPDATE {table} SET received_at = received_at - INTERVAL 10 HOUR")
    }

    fn fill(count: u32, order_key: &str, state: i64) -> String {
        format!(
            "INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at)
             SELECT 'github', CONCAT('github:fill_', seq), '', {order_key}, {state},
               IF({state} = 3, NULL, UTC_TIMESTAMP(6) + INTERVAL 1000 SECOND)
             FROM seq_1_to_{count}"
        )
    }

    const FILL_THE_DISK: &'static str = "
        CREATE TRIGGER full_disk BEFORE INSERT ON webhook_inbox_body FOR EACH ROW
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'";

    const MAKE_ROOM: &'static str = "DROP TRIGGER full_disk";

    const BACK_FROM_PARKED: &'static str =
        "UPDATE webhook_inbox SET state = 0, due_at = UTC_TIMESTAMP(6) WHERE state = 2";
}

/// A test on the databases with a server.
macro_rules! on_every_server {
    ($($test:ident),* $(,)?) => {
        mod servers_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnPostgres>().await })*
        }
        mod servers_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnMySql>().await })*
        }
    };
}

/// A test on every database, named after it.
macro_rules! on_every_database {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::databases::OnSqlite>().await })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnPostgres>().await })*
        }
        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() { super::$test::<crate::databases::OnMySql>().await })*
        }
    };
}
