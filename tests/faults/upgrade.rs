//! A plain table becomes the full one under a running application.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ferro_idem::replay::{KEEP, NewReply, ReplayLog, TransactionalReplayLog};
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, MySqlLog, Outcome, Owner, Ownership, PostgresLog,
    ProcessedEventLog, SqlDatabase, SqlLog, SqliteLog, TransactionalLog,
};
use ferro_idem_tests::servers::{MariaDb, Postgres, until};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, MySqlPool, PgPool};

use super::rig::{Body, Delivered, EFFECTS, fence, write_in_mariadb, write_in_postgres};

const LEASE: Duration = Duration::from_mins(1);

const PLAIN_IN_POSTGRES: &str = "CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, \
     event_type TEXT NOT NULL, received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";

const PLAIN_IN_MYSQL: &str = "CREATE TABLE stripe_processed_events (event_id VARBINARY(255) PRIMARY KEY, \
     event_type VARCHAR(255) NOT NULL, received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";

const OLD: &str = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_old', 'paid')";

/// Fences and transactions go on, each new event processed, while the statements of the upgrade are run
/// between them, one by one.
async fn goes_on<L, T, U>(
    log: &L,
    transaction: impl Fn(L, String) -> T + Copy + Send + 'static,
    upgrade: &str,
    run: impl Fn(String) -> U,
) where
    L: ClaimLog + ProcessedEventLog + Clone + 'static,
    T: Future<Output = Delivered> + Send,
    U: Future<Output = ()>,
{
    assert!(!log.try_mark_processed("evt_old").await.unwrap(), "a row made by hand counts as processed");
    let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (log, is_over, done) = (log.clone(), Arc::clone(&is_over), Arc::clone(&done));
            tokio::spawn(async move {
                let body = Body::new(LEASE);
                while !is_over.load(Ordering::SeqCst) {
                    let event = format!("evt_{task}_{}", done.fetch_add(1, Ordering::SeqCst));
                    for expected in [Outcome::Processed(()), Outcome::Duplicate] {
                        let delivered = match task % 2 {
                            0 => fence(&log, &event, &body).await,
                            _ => transaction(log.clone(), event.clone()).await,
                        };
                        assert_eq!(delivered.unwrap(), expected, "{event}");
                    }
                }
            })
        })
        .collect();
    let more = async || {
        let before = done.load(Ordering::SeqCst);
        let done = &done;
        until("more events", || async move { done.load(Ordering::SeqCst) > before + 20 }).await;
    };
    more().await;
    for statement in upgrade.split_inclusive(';') {
        run(statement.to_owned()).await;
        more().await;
    }
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    println!("{} events went on", done.load(Ordering::SeqCst));

    let claim = async |id| {
        let event = EventRef::new(id).unwrap();
        log.claim(event, Owner::random().unwrap(), LEASE).await.unwrap()
    };
    assert_eq!(claim("evt_claimed").await, ClaimOutcome::Acquired { token: 1 });
    assert_eq!(claim("evt_old").await, ClaimOutcome::Processed);
    let delivered = transaction(log.clone(), "evt_old".to_owned()).await;
    assert_eq!(delivered.unwrap(), Outcome::Duplicate);
}

/// The table of the version before replies.
fn before_replies(schema: &str) -> String {
    let table = schema.lines().filter(|line| !line.trim_start().starts_with("reply")).collect::<Vec<_>>();
    let table = table.join("\n").replace(",\n)", "\n)");
    assert!(!table.contains("reply") && table.contains("updated_at"), "{table}");
    table
}

/// Claims, and their completions, go on while the statements of the upgrade are run. Then replies are kept over the same
/// log.
async fn goes_on_and_then_keeps_replies<D: SqlDatabase, U: Future<Output = ()>>(
    log: &SqlLog<D>,
    upgrade: &str,
    run: impl Fn(String) -> U,
) {
    log.check().await.unwrap();
    assert!(log.try_mark_processed("evt_old").await.unwrap());
    let claim = async |id: &str| {
        let owner = Owner::random().unwrap();
        match log.claim(EventRef::new(id).unwrap(), owner, LEASE).await.unwrap() {
            ClaimOutcome::Acquired { token } => Ownership { owner, token },
            other => panic!("{id}: {other:?}"),
        }
    };
    let reply = NewReply { stored: b"201 Created", keep: KEEP };
    let held = claim("evt_too_early").await;
    for refused in [
        log.complete_with_reply("evt_too_early", held, reply).await.unwrap_err(),
        log.kept_reply("evt_too_early").await.unwrap_err(),
        in_transaction(log, "evt_in_vain").await.unwrap_err(),
    ] {
        let refused = refused.to_string();
        assert!(refused.contains("UPGRADE") && refused.contains("reply_until"), "{refused}");
    }
    let missing = log.missing_columns().await.unwrap();
    assert_eq!(missing.lines().count(), 2, "{missing}");

    let is_over = Arc::new(AtomicBool::new(false));
    let going_on = {
        let (log, is_over) = (log.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut done = 0;
            while !is_over.load(Ordering::SeqCst) {
                let id = format!("evt_{done}");
                let owner = Owner::random().unwrap();
                let claimed = log.claim(EventRef::new(&id).unwrap(), owner, LEASE).await.unwrap();
                assert_eq!(claimed, ClaimOutcome::Acquired { token: 1 });
                assert!(log.complete(&id, Ownership { owner, token: 1 }).await.unwrap());
                done += 1;
            }
            done
        })
    };
    for statement in upgrade.split_inclusive(';') {
        run(statement.to_owned()).await;
    }
    is_over.store(true, Ordering::SeqCst);
    println!("{} claims went on", going_on.await.unwrap());

    assert_eq!(log.missing_columns().await.unwrap(), "");
    assert!(log.complete_with_reply("evt_too_early", held, reply).await.unwrap());
    in_transaction(log, "evt_in_vain").await.unwrap();
    for id in ["evt_too_early", "evt_in_vain"] {
        assert_eq!(log.kept_reply(id).await.unwrap().as_deref(), Some(&b"201 Created"[..]));
    }
    assert_eq!(log.kept_reply("evt_old").await.unwrap(), None);
    assert!(!log.try_mark_processed("evt_old").await.unwrap());
}

/// A delivery that commits nothing if its reply is not kept.
async fn in_transaction<D: SqlDatabase>(log: &SqlLog<D>, id: &str) -> Result<(), Error> {
    let mut transaction = log.begin().await?;
    assert_eq!(log.try_mark_in(&mut transaction, EventRef::new(id)?).await?, MarkOutcome::First);
    let reply = NewReply { stored: b"201 Created", keep: KEEP };
    log.keep_in(&mut transaction, id, reply).await?;
    SqlLog::<D>::commit(transaction).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_gets_replies_under_a_running_application() {
    let pool = postgres().await;
    sqlx::raw_sql(AssertSqlSafe(before_replies(PostgresLog::SCHEMA))).execute(&pool).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    goes_on_and_then_keeps_replies(&log, PostgresLog::UPGRADE, |statement| async {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_gets_replies_under_a_running_application() {
    let pool = mariadb().await;
    sqlx::raw_sql(AssertSqlSafe(before_replies(MySqlLog::SCHEMA))).execute(&pool).await.unwrap();
    let log = MySqlLog::new(pool.clone());
    let instantly = MySqlLog::UPGRADE.replace(';', ", ALGORITHM=INSTANT;");
    goes_on_and_then_keeps_replies(&log, &instantly, |statement| async {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    })
    .await;
}

/// SQLite knows no ADD COLUMN IF NOT EXISTS, so only the statements that are missing are run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_gets_replies_under_a_running_application() {
    let folder = tempfile::TempDir::new().unwrap();
    let log = SqliteLog::open(folder.path().join("events.db")).await.unwrap();
    let drop_table = "DROP TABLE stripe_processed_events";
    sqlx::raw_sql(drop_table).execute(log.pool()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(before_replies(SqliteLog::SCHEMA))).execute(log.pool()).await.unwrap();
    let missing = log.missing_columns().await.unwrap();
    goes_on_and_then_keeps_replies(&log, &missing, |statement| async {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
    })
    .await;
}

async fn postgres() -> PgPool {
    let url = Postgres::shared().await.fresh_database().await;
    PgPoolOptions::new().max_connections(6).connect(&url).await.unwrap()
}

async fn mariadb() -> MySqlPool {
    let url = MariaDb::shared().await.fresh_database().await;
    MySqlPoolOptions::new().max_connections(6).connect(&url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_is_upgraded_under_a_running_application() {
    let pool = postgres().await;
    for statement in [PLAIN_IN_POSTGRES, EFFECTS, OLD] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let log = PostgresLog::new(pool.clone());
    let transaction =
        |log: PostgresLog, event: String| async move { write_in_postgres(&log, event.as_str()).await };
    goes_on(&log, transaction, PostgresLog::UPGRADE, |statement| async {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_is_upgraded_under_a_running_application() {
    let pool = mariadb().await;
    for statement in [PLAIN_IN_MYSQL, EFFECTS, OLD] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let log = MySqlLog::new(pool.clone());
    let transaction =
        |log: MySqlLog, event: String| async move { write_in_mariadb(&log, event.as_str()).await };
    // With the clause that the documentation of `MySqlLog` names for an upgrade without a copy of the table.
    let instantly = MySqlLog::UPGRADE.replace(';', ", ALGORITHM=INSTANT;");
    goes_on(&log, transaction, &instantly, |statement| async {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_refuses_text_ids_with_the_fixing_statement() {
    let pool = mariadb().await;
    let text = PLAIN_IN_MYSQL.replace("VARBINARY", "VARCHAR");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&pool).await.unwrap();
    sqlx::raw_sql(OLD).execute(&pool).await.unwrap();
    let log = MySqlLog::new(pool);
    let refused = log.try_mark_processed("EVT_OLD").await.unwrap_err().to_string();
    let mend = refused.split_once("compare bytes with\n").expect(&refused).1.to_owned();
    sqlx::raw_sql(AssertSqlSafe(mend)).execute(log.pool()).await.unwrap();
    assert!(log.try_mark_processed("EVT_OLD").await.unwrap());
    assert!(!log.try_mark_processed("evt_old").await.unwrap());
}
