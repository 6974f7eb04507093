//! A table's name stands in the text of statements: what could leave its quotes is refused, and what stays
//! in them works.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, InvalidTableName, MySqlLog, Owner, Ownership, PostgresLog,
    ProcessedEventLog, RETENTION, SqliteLog, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::{MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;

#[tokio::test]
async fn a_name_that_is_more_than_a_name_never_reaches_sql() {
    let sqlite = SqliteLog::new(SqlitePool::connect_lazy("sqlite::memory:").unwrap());
    let postgres = PostgresLog::new(PgPool::connect_lazy("postgres://app@127.0.0.1/shop").unwrap());
    let mysql = MySqlLog::new(MySqlPool::connect_lazy("mysql://app@127.0.0.1/shop").unwrap());
    for name in [
        "",
        " ",
        "a b",
        " events",
        "events ",
        "1events",
        "a\"b",
        "a\"\"b",
        "a`b",
        "a``b",
        "a'b",
        "a\\b",
        "[a]",
        "x\"; DROP TABLE users; --",
        "x`; DROP TABLE users; --",
        "; DROP",
        "a--",
        "a/*b*/",
        "a\0",
        "\0",
        "a\nb",
        "a$1",
        "a?",
        "a%s",
        "{a}",
        "main.events",
        "public.events",
        "\"public\".\"events\"",
        "shop.events",
        "täble",
        "eventѕ",
        "ｅvents",
        "a\u{2bc}b",
        "a\u{202e}b",
        &"x".repeat(64),
        &"x".repeat(1 << 20),
    ] {
        let told: String = name.chars().take(40).collect();
        assert_eq!(sqlite.clone().with_table(name).map(drop), Err(InvalidTableName), "{told:?}");
        assert_eq!(postgres.clone().with_table(name).map(drop), Err(InvalidTableName), "{told:?}");
        assert_eq!(mysql.clone().with_table(name).map(drop), Err(InvalidTableName), "{told:?}");
    }
}

/// Keywords of all three, both cases, and the longest that there is.
const NAMES: [&str; 8] = [
    "order",
    "SELECT",
    "table",
    "user",
    "Group",
    "_",
    "null",
    "x23456789_123456789_123456789_123456789_123456789_123456789_123",
];

/// Every statement there is, in a table of that name.
macro_rules! use_all {
    ($log:expr) => {{
        #[idempotent_webhook(transaction(tx))]
        async fn in_transaction<L: TransactionalLog>(log: &L, event: &str) -> Result<(), Error> {
            let _: &mut <L::Transaction as std::ops::Deref>::Target = tx;
            Ok(())
        }
        let (plain, minute) = ($log, Duration::from_mins(1));
        plain.create_table().await.unwrap();
        for name in NAMES {
            let log = plain.clone().with_table(name).unwrap();
            log.create_table().await.unwrap();
            log.create_table().await.unwrap();
            assert!(log.try_mark_processed("evt_1").await.unwrap(), "{name}");
            assert!(!log.try_mark_processed("evt_1").await.unwrap(), "{name}");
            let (event, owner) = (EventRef::new("evt_2").unwrap(), Owner::random().unwrap());
            let claimed = log.claim(event, owner, minute).await.unwrap();
            assert_eq!(claimed, ClaimOutcome::Acquired { token: 1 }, "{name}");
            let held = Ownership { owner, token: 1 };
            assert!(log.renew("evt_2", held, minute).await.unwrap(), "{name}");
            assert!(log.release("evt_2", held).await.unwrap(), "{name}");
            in_transaction(&log, "evt_2").await.unwrap();
            in_transaction(&log, "evt_3").await.unwrap();
            assert!(!log.try_mark_processed("evt_3").await.unwrap(), "{name}");
            assert_eq!(log.purge(RETENTION).await.unwrap(), 0, "{name}");
        }
        assert!(plain.try_mark_processed("evt_1").await.unwrap(), "each table is a fence of its own");
    }};
}

#[tokio::test]
async fn a_table_may_be_called_by_a_keyword_in_sqlite() {
    let folder = TempDir::new().unwrap();
    use_all!(ferro_idem_tests::open_sqlite(folder.path(), 2).await);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_table_may_be_called_by_a_keyword_in_postgres() {
    let pool = PgPool::connect(&Postgres::shared().await.fresh_database().await).await.unwrap();
    use_all!(PostgresLog::new(pool));
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_table_may_be_called_by_a_keyword_in_mariadb() {
    let pool = MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await.unwrap();
    use_all!(MySqlLog::new(pool));
}
