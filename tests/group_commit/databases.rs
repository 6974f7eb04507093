//! Empty databases for the tests, and the SQL that differs between them.

use ferro_idem::{ClaimLog, MySqlLog, PostgresLog, ProcessedEventLog, SqliteLog, TransactionalLog};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// Independent logs in one empty database.
pub(crate) trait Database: Sized + Send + Sync {
    type Log: ProcessedEventLog + ClaimLog + TransactionalLog + Clone + 'static;

    async fn fresh() -> Self;

    async fn open(&self) -> Self::Log;

    async fn run(log: &Self::Log, statement: String);

    fn alone(log: Self::Log) -> Self::Log;

    /// Two ways to refuse events of the type `refused`: a constraint, and a trigger that raises an error.
    const REFUSING: [&'static str; 2];
}

const CHECK: &str =
    "ALTER TABLE stripe_processed_events ADD CONSTRAINT known CHECK (event_type <> 'refused')";

pub(crate) struct OnSqlite(TempDir);

impl Database for OnSqlite {
    type Log = SqliteLog;

    async fn fresh() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> SqliteLog {
        open_sqlite(self.0.path(), 3).await
    }

    async fn run(log: &SqliteLog, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
    }

    fn alone(log: SqliteLog) -> SqliteLog {
        log.without_group_commit()
    }

    /// SQLite adds no constraint to a table.
    const REFUSING: [&'static str; 2] = [
        "CREATE TRIGGER known BEFORE INSERT ON stripe_processed_events WHEN NEW.event_type = 'refused'
         BEGIN SELECT RAISE(ABORT, 'unknown type'); END",
        "CREATE TRIGGER known BEFORE INSERT ON stripe_processed_events WHEN NEW.event_type = 'refused'
         BEGIN SELECT RAISE(FAIL, 'unknown type'); END",
    ];
}

pub(crate) struct OnPostgres(String);

impl OnPostgres {
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl Database for OnPostgres {
    type Log = PostgresLog;

    async fn fresh() -> Self {
        let database = Self(Postgres::shared().await.fresh_database().await);
        database.open().await.create_table().await.unwrap();
        database
    }

    async fn open(&self) -> PostgresLog {
        PostgresLog::new(sqlx::PgPool::connect(&self.0).await.unwrap())
    }

    async fn run(log: &PostgresLog, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
    }

    fn alone(log: PostgresLog) -> PostgresLog {
        log.without_group_commit()
    }

    const REFUSING: [&'static str; 2] = [
        CHECK,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN RAISE EXCEPTION 'unknown type'; END $$;
         CREATE TRIGGER known BEFORE INSERT ON stripe_processed_events
         FOR EACH ROW WHEN (NEW.event_type = 'refused') EXECUTE FUNCTION refuse()",
    ];
}

pub(crate) struct OnMySql(String);

impl OnMySql {
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl Database for OnMySql {
    type Log = MySqlLog;

    async fn fresh() -> Self {
        let database = Self(MariaDb::shared().await.fresh_database().await);
        database.open().await.create_table().await.unwrap();
        database
    }

    async fn open(&self) -> MySqlLog {
        MySqlLog::new(sqlx::MySqlPool::connect(&self.0).await.unwrap())
    }

    async fn run(log: &MySqlLog, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
    }

    fn alone(log: MySqlLog) -> MySqlLog {
        log.without_group_commit()
    }

    const REFUSING: [&'static str; 2] = [
        CHECK,
        "CREATE TRIGGER known BEFORE INSERT ON stripe_processed_events FOR EACH ROW
         IF NEW.event_type = 'refused' THEN SIGNAL SQLSTATE '45000'; END IF",
    ];
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

pub(crate) use on_every_database;
