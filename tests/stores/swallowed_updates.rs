//! Triggers and rules that keep a claim's row as it was: an error that says so, and no loop.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, EventRef, MarkOutcome, MySqlLog, Owner, Ownership, PostgresLog,
    ProcessedEventLog, SqlDatabase, SqlLog, SqliteLog, TransactionalLog,
};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;
use tokio::time::timeout;

const LEASE: Duration = Duration::from_mins(1);

/// Longer than a call takes.
const BOUND: Duration = Duration::from_secs(30);

const WORDS: &str = "does not keep the event's row";

async fn postgres(statements: &str) -> PgPool {
    let url = Postgres::shared().await.fresh_database().await;
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    pool
}

async fn mariadb(statements: &str) -> MySqlPool {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = MySqlPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    pool
}

async fn sqlite(folder: &TempDir, statements: &str) -> SqlitePool {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
    let pool = SqlitePoolOptions::new().connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    pool
}

fn within<T>(call: impl Future<Output = T>) -> impl Future<Output = T> {
    // The futures of calls are large.
    let call = Box::pin(call);
    async move { timeout(BOUND, call).await.expect("a bound") }
}

/// The table holds `evt_released`, and `evt_held` with owner 7 and token 1.
async fn no_update_is_believed<D: SqlDatabase>(log: &SqlLog<D>, tells_renewals: bool)
where
    SqlLog<D>: ClaimLog + TransactionalLog,
{
    let released = EventRef::new("evt_released").unwrap();
    let refused = within(log.claim(released, Owner::random().unwrap(), LEASE)).await.unwrap_err().to_string();
    assert!(refused.contains(WORDS), "{refused}");

    let mut transaction = log.begin().await.unwrap();
    let refused = within(log.try_mark_in(&mut transaction, released)).await.unwrap_err().to_string();
    assert!(refused.contains(WORDS), "{refused}");
    SqlLog::<D>::rollback(transaction).await.unwrap();

    let held = Ownership { token: 1, owner: Owner::from_bytes([7; 16]) };
    let mut steps =
        vec![within(log.complete("evt_held", held)).await, within(log.release("evt_held", held)).await];
    if tells_renewals {
        steps.push(within(log.renew("evt_held", held, LEASE)).await);
    }
    for step in steps {
        let refused = step.unwrap_err().to_string();
        assert!(refused.contains(WORDS), "{refused}");
    }
    let lost = Ownership { token: 9, ..held };
    assert!(!within(log.complete("evt_held", lost)).await.unwrap(), "a claim that is lost is lost");
    assert!(!log.try_mark_processed("evt_held").await.unwrap());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn an_update_that_postgres_swallows_is_an_error() {
    let statements = format!(
        "{}
        INSERT INTO stripe_processed_events (event_id, event_type, state, owner, fencing_token, lease_until) VALUES
          ('evt_released', '', 2, NULL, 1, NULL),
          ('evt_held', '', 0, '{}', 1, now() + interval '1 hour');
        CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER swallow BEFORE UPDATE ON stripe_processed_events FOR EACH ROW EXECUTE FUNCTION swallow();",
        PostgresLog::SCHEMA,
        "07".repeat(16)
    );
    let pool = postgres(&statements).await;
    no_update_is_believed(&PostgresLog::new(pool.clone()).without_group_commit(), true).await;
    no_update_is_believed(&PostgresLog::new(pool), true).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_rule_is_refused_with_the_statement_that_drops_it() {
    for rule in ["ON UPDATE", "ON INSERT", "ON DELETE"] {
        let rule =
            format!("CREATE RULE \"Swallow it\" AS {rule} TO stripe_processed_events DO INSTEAD NOTHING;");
        let log = PostgresLog::new(postgres(&format!("{}{rule}", PostgresLog::SCHEMA)).await);
        for refused in [
            log.try_mark_processed("evt_1").await.map(drop),
            log.claim(EventRef::new("evt_1").unwrap(), Owner::random().unwrap(), LEASE).await.map(drop),
            log.begin().await.map(drop),
            log.check().await,
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(
                refused.contains("DROP RULE \"Swallow it\" ON \"stripe_processed_events\""),
                "{rule}: {refused}"
            );
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_trigger_of_a_partition_counts_as_the_tables_own() {
    let statements = format!(
        "{} PARTITION BY HASH (event_id);
        CREATE TABLE half PARTITION OF stripe_processed_events FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE other PARTITION OF stripe_processed_events FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER swallow BEFORE INSERT ON half FOR EACH ROW EXECUTE FUNCTION swallow();",
        PostgresLog::SCHEMA.trim_end_matches(';')
    );
    let log = PostgresLog::new(postgres(&statements).await);
    let mut kept = 0;
    for number in 0..16 {
        match log.try_mark_processed(&format!("evt_{number}")).await {
            Ok(is_first) => {
                assert!(is_first, "evt_{number} is new");
                kept += 1;
            }
            Err(error) => assert!(error.to_string().contains(WORDS), "{error}"),
        }
    }
    assert!((1..16).contains(&kept), "{kept}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn partitions_by_the_event_id_hold_every_guarantee() {
    let statements = format!(
        "{} PARTITION BY HASH (event_id);
        CREATE TABLE half PARTITION OF stripe_processed_events FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE other PARTITION OF stripe_processed_events FOR VALUES WITH (MODULUS 2, REMAINDER 1);",
        PostgresLog::SCHEMA.trim_end_matches(';')
    );
    let log = PostgresLog::new(postgres(&statements).await);
    log.check().await.unwrap();
    for number in 0..8 {
        let id = format!("evt_{number}");
        let mut transaction = log.begin().await.unwrap();
        let event = EventRef::new(&id).unwrap();
        assert_eq!(log.try_mark_in(&mut transaction, event).await.unwrap(), MarkOutcome::First);
        PostgresLog::commit(transaction).await.unwrap();
        assert!(!log.try_mark_processed(&id).await.unwrap());
        let claimed = log.claim(event, Owner::random().unwrap(), LEASE).await.unwrap();
        assert_eq!(claimed, ClaimOutcome::Processed);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_table_with_children_is_refused() {
    let statements =
        format!("{}CREATE TABLE child () INHERITS (stripe_processed_events);", PostgresLog::SCHEMA);
    let log = PostgresLog::new(postgres(&statements).await);
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("INHERIT"), "{refused}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_key_that_no_insert_can_conflict_with_is_refused_at_start_up() {
    for key in [
        "",
        "ALTER TABLE stripe_processed_events ADD PRIMARY KEY (event_id, event_type);",
        "ALTER TABLE stripe_processed_events ADD PRIMARY KEY (event_id) DEFERRABLE;",
        "CREATE UNIQUE INDEX few ON stripe_processed_events (event_id) WHERE event_type <> 'ping';",
        "CREATE UNIQUE INDEX lowered ON stripe_processed_events (lower(event_id));",
    ] {
        let table = "CREATE TABLE stripe_processed_events (event_id TEXT NOT NULL, event_type TEXT NOT NULL,
            received_at TIMESTAMPTZ NOT NULL DEFAULT now());";
        let log = PostgresLog::new(postgres(&format!("{table}{key}")).await);
        let refused = log.check().await.expect_err(key).to_string();
        assert!(refused.contains("`event_id` needs a PRIMARY KEY or UNIQUE constraint"), "{refused}");
        assert!(log.try_mark_processed("evt_1").await.is_err(), "{key}");
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn an_update_that_mariadb_undoes_is_an_error() {
    let statements = format!(
        "{}
        INSERT INTO stripe_processed_events (event_id, event_type, state, owner, fencing_token, lease_until) VALUES
          ('evt_released', '', 2, NULL, 1, NULL),
          ('evt_held', '', 0, x'{}', 1, UTC_TIMESTAMP(6) + INTERVAL 1 HOUR);
        CREATE TRIGGER unchanged BEFORE UPDATE ON stripe_processed_events FOR EACH ROW
          SET NEW.state = OLD.state, NEW.owner = OLD.owner, NEW.fencing_token = OLD.fencing_token,
            NEW.lease_until = OLD.lease_until;",
        MySqlLog::SCHEMA,
        "07".repeat(16)
    );
    let pool = mariadb(&statements).await;
    for log in [MySqlLog::new(pool.clone()).without_group_commit(), MySqlLog::new(pool)] {
        let released = EventRef::new("evt_released").unwrap();
        let refused = within(log.claim(released, Owner::random().unwrap(), LEASE)).await.unwrap_err();
        assert!(refused.to_string().contains("uses `NEW.owner`"), "{refused}");
    }
}

#[tokio::test]
async fn an_update_that_sqlite_ignores_is_an_error() {
    let statements = format!(
        "{}
        INSERT INTO stripe_processed_events (event_id, event_type, state, owner, fencing_token, lease_until) VALUES
          ('evt_released', '', 2, NULL, 1, NULL),
          ('evt_held', '', 0, x'{}', 1, unixepoch('now', '+1 hour') * 1000);
        CREATE TRIGGER ignore BEFORE UPDATE ON stripe_processed_events BEGIN SELECT RAISE(IGNORE); END;",
        SqliteLog::SCHEMA,
        "07".repeat(16)
    );
    let folder = TempDir::new().unwrap();
    let pool = sqlite(&folder, &statements).await;
    no_update_is_believed(&SqliteLog::new(pool.clone()).without_group_commit(), true).await;
    no_update_is_believed(&SqliteLog::new(pool), true).await;
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_second_key_refuses_claims_and_transactions_too() {
    let unique = "ALTER TABLE stripe_processed_events ADD UNIQUE KEY one_of_a_type (event_type);
        INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_old', 'charge');";
    let log = MySqlLog::new(mariadb(&format!("{}{unique}", MySqlLog::SCHEMA)).await);
    let event = EventRef::new("evt_new").unwrap().with_type("charge");
    let claimed = within(log.claim(event, Owner::random().unwrap(), LEASE)).await;
    assert!(claimed.is_err(), "{claimed:?}");
    let mut transaction = log.begin().await.unwrap();
    let marked = within(log.try_mark_in(&mut transaction, event)).await;
    assert!(marked.is_err(), "{marked:?}");
    let of_another_type = EventRef::new("evt_new").unwrap().with_type("refund");
    assert!(log.try_mark_event(of_another_type).await.unwrap());
}
