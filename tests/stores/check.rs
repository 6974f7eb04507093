//! What `check` says when the application starts, and tables in schemas of their own.

use ferro_idem::{MySqlLog, PostgresLog, ProcessedEventLog, RETENTION, SqliteLog};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

async fn postgres(statements: &str) -> (String, PgPool) {
    let url = Postgres::shared().await.fresh_database().await;
    let pool = PgPoolOptions::new().max_connections(2).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    (url, pool)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_log_in_a_schema_of_its_own_works() {
    let (_, pool) = postgres("CREATE SCHEMA billing").await;
    let log = PostgresLog::new(pool.clone()).with_schema("billing").unwrap().with_table("events").unwrap();
    assert!(
        log.schema().starts_with("CREATE TABLE IF NOT EXISTS \"billing\".\"events\" ("),
        "{}",
        log.schema()
    );
    let missing = log.check().await.unwrap_err().to_string();
    assert!(
        missing.contains("there is no table `billing.events`") && missing.contains(&log.schema()),
        "{missing}"
    );
    sqlx::raw_sql(AssertSqlSafe(log.schema())).execute(&pool).await.unwrap();
    log.check().await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM billing.events").fetch_one(log.pool()).await.unwrap();
    assert_eq!(rows, 1);
    assert_eq!(log.purge(RETENTION).await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_check_says_everything_at_once() {
    let statements = "
        CREATE UNLOGGED TABLE stripe_processed_events (event_id VARCHAR(20) PRIMARY KEY);
        CREATE ROLE app LOGIN;";
    let (url, pool) = postgres(statements).await;
    let problems = PostgresLog::new(pool.clone()).check().await.unwrap_err().to_string();
    assert!(
        problems.contains("takes different ids for one") && problems.contains("SET LOGGED"),
        "{problems}"
    );

    let fixed = "DROP TABLE stripe_processed_events;";
    sqlx::raw_sql(AssertSqlSafe(format!("{fixed}{}", PostgresLog::SCHEMA))).execute(&pool).await.unwrap();
    let as_app = PgPool::connect(&url.replace("postgres@", "app@")).await.unwrap();
    let problems = PostgresLog::new(as_app.clone()).check().await.unwrap_err().to_string();
    assert!(problems.contains("GRANT SELECT, INSERT, UPDATE, DELETE"), "{problems}");
    sqlx::raw_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_processed_events TO app")
        .execute(&pool)
        .await
        .unwrap();
    PostgresLog::new(as_app).check().await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM stripe_processed_events").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 0, "it writes nothing");
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_log_in_another_database_of_the_server_works() {
    let server = MariaDb::shared().await;
    let (url, billing) = (server.fresh_database().await, server.fresh_database().await);
    let schema = billing.rsplit('/').next().unwrap();
    let log =
        MySqlLog::new(MySqlPoolOptions::new().connect(&url).await.unwrap()).with_schema(schema).unwrap();
    assert!(log.check().await.unwrap_err().to_string().contains("there is no table"));
    log.create_table().await.unwrap();
    log.check().await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(log.purge(RETENTION).await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_purge_refuses_times_that_are_numbers() {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = MySqlPoolOptions::new().connect(&url).await.unwrap();
    let plain = "CREATE TABLE stripe_processed_events (event_id VARBINARY(255) PRIMARY KEY,
        event_type VARCHAR(255) NOT NULL, received_at BIGINT NOT NULL DEFAULT 1900000000)";
    sqlx::raw_sql(plain).execute(&pool).await.unwrap();
    let log = MySqlLog::new(pool);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    let refused = log.purge(RETENTION).await.unwrap_err().to_string();
    assert!(refused.contains("`received_at`"), "{refused}");
    assert!(!log.try_mark_processed("evt_1").await.unwrap(), "it is not deleted");
}

#[tokio::test]
async fn a_check_of_sqlite_finds_a_table_without_a_key() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let log = SqliteLog::new(pool.clone());
    for key in [
        "",
        "CREATE UNIQUE INDEX of_type ON stripe_processed_events (event_type)",
        "CREATE UNIQUE INDEX of_both ON stripe_processed_events (event_id, event_type)",
        "CREATE UNIQUE INDEX of_lower ON stripe_processed_events (event_id, lower(event_type))",
        "CREATE UNIQUE INDEX of_some ON stripe_processed_events (event_id) WHERE event_type <> 'ping'",
    ] {
        let table = "DROP TABLE IF EXISTS stripe_processed_events;
            CREATE TABLE stripe_processed_events (event_id TEXT NOT NULL, event_type TEXT, received_at TEXT);";
        sqlx::raw_sql(AssertSqlSafe(format!("{table}{key}"))).execute(&pool).await.unwrap();
        let refused = log.check().await.expect_err(key).to_string();
        assert!(refused.contains("`event_id` needs a PRIMARY KEY or UNIQUE constraint"), "{key}: {refused}");
        log.try_mark_processed("evt_1").await.expect_err(key);
    }
    let key = "CREATE UNIQUE INDEX of_id ON stripe_processed_events (event_id)";
    sqlx::raw_sql(key).execute(&pool).await.unwrap();
    log.check().await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
async fn a_log_in_an_attached_database_works() {
    let folder = tempfile::TempDir::new().unwrap();
    let (own, attached) = (folder.path().join("own.db"), folder.path().join("billing.db"));
    let attach = format!("ATTACH '{}' AS billing", attached.display());
    let pool = SqlitePoolOptions::new().max_connections(2).after_connect(move |connection, _| {
        let attach = attach.clone();
        Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(attach)).execute(connection).await.map(drop) })
    });
    let pool = pool.connect(&format!("sqlite://{}?mode=rwc", own.display())).await.unwrap();
    let log = SqliteLog::new(pool).with_schema("billing").unwrap();
    assert!(log.check().await.unwrap_err().to_string().contains("there is no table `billing."));
    log.create_table().await.unwrap();
    log.check().await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

const MORE_COLUMNS: &str = "ALTER TABLE stripe_processed_events ADD COLUMN tenant BIGINT NOT NULL DEFAULT 1;
    ALTER TABLE stripe_processed_events ADD COLUMN note VARCHAR(20)";
const TO_FILL: &str = "ALTER TABLE stripe_processed_events ADD COLUMN region VARCHAR(20) NOT NULL";

fn names_region(problems: &str) -> bool {
    problems.contains("`region`")
        && problems.contains("NOT NULL and have no default")
        && !problems.contains("tenant")
        && !problems.contains("note")
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_check_finds_columns_that_no_mark_fills() {
    let (_, pool) = postgres(&format!("{}{MORE_COLUMNS}", PostgresLog::SCHEMA)).await;
    let log = PostgresLog::new(pool.clone());
    log.check().await.unwrap();
    sqlx::raw_sql(TO_FILL).execute(&pool).await.unwrap();
    let problems = log.check().await.unwrap_err().to_string();
    assert!(names_region(&problems), "{problems}");
    assert!(log.try_mark_processed("evt_1").await.is_err());
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_check_finds_columns_that_no_mark_fills_on_mysql() {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = MySqlPoolOptions::new().connect(&url).await.unwrap();
    let create = format!("{}{MORE_COLUMNS}", MySqlLog::SCHEMA);
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.unwrap();
    let log = MySqlLog::new(pool.clone());
    log.check().await.unwrap();
    sqlx::raw_sql(TO_FILL).execute(&pool).await.unwrap();
    let problems = log.check().await.unwrap_err().to_string();
    assert!(names_region(&problems), "{problems}");
    assert!(log.try_mark_processed("evt_1").await.is_err());
}

#[tokio::test]
async fn a_check_finds_columns_that_no_mark_fills_on_sqlite() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let create =
        "CREATE TABLE stripe_processed_events (number INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE,
        event_type TEXT NOT NULL, received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, note TEXT,
        tenant TEXT NOT NULL DEFAULT '')";
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    let log = SqliteLog::new(pool.clone());
    let without = log.check().await.map_err(|error| error.to_string());
    assert!(!without.is_err_and(|problems| problems.contains("no default")));
    let fills = "DROP TABLE stripe_processed_events;
        CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL,
        region TEXT NOT NULL, received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)";
    sqlx::raw_sql(fills).execute(&pool).await.unwrap();
    let problems = SqliteLog::new(pool).check().await.unwrap_err().to_string();
    assert!(names_region(&problems), "{problems}");
}
