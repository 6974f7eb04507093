//! Traps of MariaDB for hand-written idempotency, tested through the log.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, MySqlLog, Outcome, Owner, ProcessedEventLog,
    RETENTION, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::drop_after_polls;
use ferro_idem_tests::servers::{MariaDb, until};
use futures_util::future::join_all;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, MySqlConnection, MySqlPool};

const LEASE: Duration = Duration::from_mins(1);

/// Many connections, each with this setting.
async fn log_with(setting: &'static str) -> MySqlLog {
    let pool = MySqlPoolOptions::new().max_connections(24).after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(setting).execute(connection).await.map(drop) })
    });
    let url = MariaDb::shared().await.fresh_database().await;
    let log = MySqlLog::new(pool.connect(&url).await.unwrap());
    log.create_table().await.unwrap();
    // Without group commit, so that the racers meet in the server and not in a shared statement.
    log.without_group_commit()
}

async fn log() -> MySqlLog {
    log_with("DO 0").await
}

async fn run(pool: &MySqlPool, statements: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(statements.into())).execute(pool).await.unwrap();
}

/// Statements of this database that wait for a lock.
async fn until_waiting(pool: &MySqlPool, statements: i64) {
    // The server shows what it saw before for as long as it is asked within a tenth of a second.
    let waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx AS t \
         JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id \
         WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'";
    until("statements wait for a lock", || async move {
        run(pool, "DO SLEEP(0.15)").await;
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap() >= statements
    })
    .await;
}

async fn deadlocks(pool: &MySqlPool) -> i64 {
    let counted = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
         WHERE variable_name = 'INNODB_DEADLOCKS'";
    sqlx::query_scalar(counted).fetch_one(pool).await.unwrap()
}

/// Another transaction inserts the event, racers wait for it, and it rolls back. Now each racer holds a lock
/// that the others need.
async fn racers_behind_a_rollback<T>(
    log: &MySqlLog,
    id: &str,
    deliver: impl AsyncFn() -> Result<T, Error>,
) -> Vec<T> {
    let mut holder = log.pool().begin().await.unwrap();
    let insert = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?, '')";
    sqlx::query(insert).bind(id.as_bytes()).execute(&mut *holder).await.unwrap();
    let let_go = async {
        until_waiting(log.pool(), 5).await;
        holder.rollback().await.unwrap();
    };
    let (raced, ()) = tokio::join!(join_all((0..20).map(|_| deliver())), let_go);
    raced.into_iter().map(Result::unwrap).collect()
}

#[idempotent_webhook(transaction(tx))]
async fn process(log: &MySqlLog, event: &str, fails: bool) -> Result<Outcome<()>, Error> {
    let asked = sqlx::query("INSERT INTO effects VALUES (?)").bind(event).execute(tx).await;
    asked.map_err(|error| Error::store("write the effect", error))?;
    if fails { Err(ferro_idem_tests::broken()) } else { Ok(Outcome::Processed(())) }
}

async fn effects(log: &MySqlLog) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM effects").fetch_one(log.pool()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn racers_that_deadlock_have_one_winner_and_no_error() {
    let log = &log().await;
    let before = deadlocks(log.pool()).await;
    for round in 0..3 {
        let id = &format!("evt_{round}");
        let marked = racers_behind_a_rollback(log, id, async || log.try_mark_processed(id).await).await;
        assert_eq!(marked.into_iter().filter(|&first| first).count(), 1);

        let id = &format!("claim_{round}");
        let claim = async || log.claim(EventRef::new(id)?, Owner::random()?, LEASE).await;
        let claimed = racers_behind_a_rollback(log, id, claim).await;
        let held = claimed.iter().filter(|it| matches!(it, ClaimOutcome::Acquired { token: 1 }));
        let told = claimed.iter().filter(|it| matches!(it, ClaimOutcome::InProgress { .. }));
        assert_eq!((held.count(), told.count()), (1, 19), "{claimed:?}");
    }
    assert!(deadlocks(log.pool()).await > before, "this is where they deadlock");
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn races_under_every_isolation_are_answered() {
    for setting in [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET SESSION innodb_snapshot_isolation = ON",
    ] {
        let log = &log_with(setting).await;
        run(log.pool(), "CREATE TABLE effects (event_id VARCHAR(255))").await;
        for round in 0..5 {
            let id = &format!("evt_{round}");
            let marks = join_all((0..20).map(|_| log.try_mark_processed(id))).await;
            assert_eq!(marks.into_iter().filter(|it| *it.as_ref().unwrap()).count(), 1, "{setting}");

            let id = &format!("tx_{round}");
            // The first ones fail, and roll back in the middle of the others.
            let failing = (0..5).map(|_| process(log, id, true));
            let deliveries = failing.chain((0..15).map(|_| process(log, id, false)));
            for delivery in join_all(deliveries.collect::<Vec<_>>()).await {
                match delivery {
                    Ok(_) | Err(Error::InProgress { .. }) => {}
                    Err(error) => assert!(format!("{error:?}").contains("canary"), "{setting}: {error:?}"),
                }
            }
            process(log, id, false).await.unwrap();
            assert_eq!(effects(log).await, round + 1, "{setting}");
        }
    }
}

/// Under `innodb_snapshot_isolation`, MariaDB's default from 11.6 on, the mark is refused (1020).
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_snapshot_before_the_mark_begins_the_transaction_again() {
    let log = &log_with("SET SESSION innodb_snapshot_isolation = ON").await;
    let mut transaction = log.begin().await.unwrap();
    let read = "SELECT COUNT(*) FROM stripe_processed_events";
    sqlx::query(read).execute(&mut *transaction).await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "the snapshot is stale now");
    let outcome = log.try_mark_in(&mut transaction, EventRef::new("evt_1").unwrap()).await.unwrap();
    assert_eq!(outcome, MarkOutcome::Processed);
    MySqlLog::rollback(transaction).await.unwrap();
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_purge_deletes_what_is_old_and_nothing_else() {
    let log = log().await;
    let rows = "INSERT INTO stripe_processed_events (event_id, event_type, received_at, state, lease_until) \
         SELECT CONCAT('evt_', seq), '', NOW() - INTERVAL IF(seq % 2 = 0, 36, 34) DAY, IF(seq = 2, 0, 1), \
         IF(seq = 2, UTC_TIMESTAMP(6) + INTERVAL 1 MINUTE, NULL) FROM seq_1_to_2000";
    run(log.pool(), rows).await;
    assert_eq!(log.purge(RETENTION).await.unwrap(), 999, "the old ones, and not the live claim");
    for kept in ["evt_1", "evt_2"] {
        assert!(!log.try_mark_processed(kept).await.unwrap());
    }
}

/// Under REPEATABLE READ, a delete locks the gaps between the rows that it has passed.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_purge_that_waits_keeps_no_new_event_waiting() {
    let log = &log_with("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    let rows = "INSERT INTO stripe_processed_events (event_id, event_type, received_at) \
         SELECT CONCAT('evt_', seq), '', NOW() - INTERVAL 36 DAY FROM seq_100_to_199";
    run(log.pool(), rows).await;
    let mut holder = log.pool().begin().await.unwrap();
    let hold = "SELECT 1 FROM stripe_processed_events WHERE event_id = 'evt_150' FOR UPDATE";
    sqlx::query(hold).execute(&mut *holder).await.unwrap();
    let meanwhile = async {
        until_waiting(log.pool(), 1).await;
        let marking = log.try_mark_processed("evt_1205");
        assert!(marking.await.expect("between two rows that the purge has passed"));
        until_waiting(log.pool(), 1).await;
        holder.rollback().await.unwrap();
    };
    let (purged, ()) = tokio::join!(log.purge(RETENTION), meanwhile);
    assert_eq!(purged.unwrap(), 100);
    assert!(!log.try_mark_processed("evt_1205").await.unwrap());
}

/// A pool of one connection, so that the next borrower gets the one that a purge had.
async fn log_of_one(options: MySqlConnectOptions) -> MySqlLog {
    MySqlLog::new(MySqlPoolOptions::new().max_connections(1).connect_with(options).await.unwrap())
}

/// Whether two reads in one transaction return the same, although another connection wrote in between.
async fn reads_are_repeatable(log: &MySqlLog, admin: &MySqlPool) -> bool {
    let mut transaction = log.pool().begin().await.unwrap();
    let count = "SELECT COUNT(*) FROM stripe_processed_events";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *transaction).await.unwrap();
    run(admin, "INSERT INTO stripe_processed_events (event_id, event_type) VALUES (UUID(), '')").await;
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut *transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    before == after
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_purge_that_is_dropped_leaves_its_isolation_to_nobody() {
    let admin = log().await;
    assert!(admin.try_mark_processed("evt_1").await.unwrap());
    let log = log_of_one((*admin.pool().connect_options()).clone()).await;
    assert!(reads_are_repeatable(&log, admin.pool()).await);
    for polls in 1.. {
        let purged = drop_after_polls(log.purge(RETENTION), polls).await;
        assert!(reads_are_repeatable(&log, admin.pool()).await, "dropped after {polls} polls");
        if let Some(purged) = purged {
            assert_eq!(purged.unwrap(), 0);
            break;
        }
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_purge_that_is_refused_leaves_its_isolation_to_nobody() {
    let admin = log().await;
    let rights = "CREATE OR REPLACE USER keeper IDENTIFIED BY 'canary'; \
         GRANT SELECT, INSERT ON stripe_processed_events TO keeper; \
         INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_1', '')";
    run(admin.pool(), rights).await;
    let options = (*admin.pool().connect_options()).clone();
    let log = log_of_one(options.username("keeper").password("canary")).await;
    let refused = log.purge(RETENTION).await.unwrap_err().to_string();
    assert!(refused.contains("GRANT SELECT, INSERT, UPDATE, DELETE"), "{refused}");
    assert!(reads_are_repeatable(&log, admin.pool()).await);
}

/// 1412: the transaction's snapshot is older than the table's definition.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_snapshot_before_the_upgrade_begins_the_transaction_again() {
    let log = &log().await;
    run(log.pool(), "CREATE TABLE other (id INT)").await;
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    let mut transaction = log.begin().await.unwrap();
    sqlx::query("SELECT COUNT(*) FROM other").execute(&mut *transaction).await.unwrap();
    run(log.pool(), "ALTER TABLE stripe_processed_events FORCE").await;
    let outcome = log.try_mark_in(&mut transaction, EventRef::new("evt_1").unwrap()).await.unwrap();
    assert_eq!(outcome, MarkOutcome::Processed);
    MySqlLog::rollback(transaction).await.unwrap();
}

async fn add_to(connection: &mut MySqlConnection, account: i64) -> Result<(), sqlx::Error> {
    let add = "UPDATE accounts SET balance = balance + 1 WHERE id = ?";
    sqlx::query(add).bind(account).execute(connection).await.map(drop)
}

#[idempotent_webhook(transaction(tx))]
async fn pass_over_a_deadlock(log: &MySqlLog, event: &str) -> Result<Outcome<()>, Error> {
    add_to(tx, 1).await.map_err(|error| Error::store("add", error))?;
    // The other transaction has changed more rows, so this one is the victim.
    let mut other = log.pool().begin().await.unwrap();
    sqlx::query("UPDATE accounts SET balance = balance + 1 WHERE id > 1").execute(&mut *other).await.unwrap();
    let body = async {
        until_waiting(log.pool(), 1).await;
        add_to(tx, 2).await.unwrap_err().into_database_error().unwrap().code().unwrap().into_owned()
    };
    let (code, added) = tokio::join!(body, add_to(&mut other, 1));
    added.unwrap();
    assert_eq!(code, "40001", "the SQLSTATE of 1213");
    other.rollback().await.unwrap();
    Ok(Outcome::Processed(()))
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_body_that_ignores_a_deadlock_is_not_processed() {
    let log = log().await;
    let accounts = "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL); \
         INSERT INTO accounts SELECT seq, 0 FROM seq_1_to_20";
    run(log.pool(), accounts).await;
    let error = pass_over_a_deadlock(&log, "evt_1").await.unwrap_err().to_string();
    assert!(error.contains("rolled the transaction back"), "{error}");
    let left: i64 = sqlx::query_scalar("SELECT CAST(SUM(balance) AS SIGNED) FROM accounts")
        .fetch_one(log.pool())
        .await
        .unwrap();
    assert_eq!(left, 0, "nothing half-done");
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "the next delivery runs");
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn refusals_say_what_to_do_and_no_password() {
    let admin = log().await;
    let rights = "CREATE OR REPLACE USER reader IDENTIFIED BY 'canary'; \
         CREATE OR REPLACE USER writer IDENTIFIED BY 'canary'; \
         GRANT SELECT ON stripe_processed_events TO reader; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_processed_events TO writer; \
         SET GLOBAL read_only = ON";
    // The other tests connect as root, who may write nevertheless.
    run(admin.pool(), rights).await;
    let options = (*admin.pool().connect_options()).clone();
    let user = |name: &str| options.clone().username(name).password("canary");
    for (options, advice) in [
        (user("reader"), "GRANT SELECT, INSERT, UPDATE, DELETE"),
        (user("writer"), "read-only"),
        (user("nobody"), "refused the user or the password"),
        (options.clone().database("nowhere"), "no such database"),
    ] {
        let error = refusal(options).await;
        assert!(error.contains(advice), "{error}");
    }
    run(admin.pool(), "SET GLOBAL read_only = OFF").await;
}

async fn refusal(options: MySqlConnectOptions) -> String {
    let log = MySqlLog::new(MySqlPoolOptions::new().connect_lazy_with(options));
    let error = log.try_mark_processed("evt_1").await.unwrap_err();
    assert!(!format!("{error:?} {log:?}").contains("canary"));
    error.to_string()
}
