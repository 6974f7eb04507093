//! A plain table: what works, and what says why it does not.

use ferro_idem::operations::{Change, EventState, Filter, Lack, LoggedEvent, Operations};
use ferro_idem::{MySqlLog, PostgresLog, ProcessedEventLog, SqliteLog};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{MySqlPool, PgPool};

/// What the three columns are, with each database's own type for an id.
fn plain(id: &str) -> String {
    format!(
        "CREATE TABLE stripe_processed_events (event_id {id} PRIMARY KEY, event_type TEXT NOT NULL, \
         received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
}

async fn works_for_what_it_can(log: &dyn ProcessedEventLog, operations: &dyn Operations) {
    assert_eq!(operations.lacks().await.unwrap(), [Lack::Claims]);
    for id in ["evt_1", "evt_2"] {
        assert!(log.try_mark_processed(id).await.unwrap());
    }
    let event = operations.look("evt_1").await.unwrap().unwrap();
    assert_eq!((event.state(), event.fencing_token(), event.owner()), (EventState::Processed, 0, None));
    let age = event.received_at().unwrap().elapsed().unwrap_or_default();
    assert!(age.as_secs() < 300, "{age:?}: the time of a plain table was read in another time zone");
    assert_eq!(operations.list(&Filter::new(), None, 10).await.unwrap().events.len(), 2);
    let stuck = Filter::new().with_state(EventState::LeaseEnded);
    assert_eq!(operations.list(&stuck, None, 10).await.unwrap().events, []);
    assert_eq!(operations.counts().await.unwrap().of(EventState::Processed).events, 2);

    let claimed = LoggedEvent::new("evt_1", EventState::Claimed);
    for refused in [operations.release(&claimed).await, operations.complete(&claimed).await] {
        let refused = refused.unwrap();
        assert!(matches!(refused, Change::NotPossible(why) if why.contains("UPGRADE")), "{refused:?}");
    }
    assert_eq!(operations.forget(&event).await.unwrap(), Change::Done);
    assert_eq!(operations.forget(&event).await.unwrap(), Change::TooLate(None));
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
async fn a_plain_sqlite_table_works_for_what_it_can() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(plain("TEXT"))).execute(&pool).await.unwrap();
    let log = SqliteLog::new(pool);
    works_for_what_it_can(&log, &*log.operations()).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_plain_postgres_table_works_for_what_it_can() {
    let pool = PgPool::connect(&Postgres::shared().await.fresh_database().await).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(plain("TEXT"))).execute(&pool).await.unwrap();
    let log = PostgresLog::new(pool);
    works_for_what_it_can(&log, &*log.operations()).await;
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_plain_mariadb_table_works_for_what_it_can() {
    let pool = MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(plain("VARBINARY(255)"))).execute(&pool).await.unwrap();
    let log = MySqlLog::new(pool);
    works_for_what_it_can(&log, &*log.operations()).await;
}

/// The table is upgraded while an operator has the page open.
#[tokio::test]
async fn an_upgrade_is_noticed_at_the_next_call() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(plain("TEXT"))).execute(&pool).await.unwrap();
    let log = SqliteLog::new(pool.clone());
    let operations = log.operations();
    assert_eq!(operations.lacks().await.unwrap(), [Lack::Claims]);
    sqlx::raw_sql(SqliteLog::UPGRADE).execute(&pool).await.unwrap();
    assert_eq!(operations.lacks().await.unwrap(), []);
}
