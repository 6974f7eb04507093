//! Tables that a fence can and cannot be kept in, in PostgreSQL.

use std::time::Duration;

use ferro_idem::{ClaimLog, EventRef, Owner, PostgresLog, ProcessedEventLog, TransactionalLog};
use ferro_idem_tests::servers::Postgres;
use sqlx::{AssertSqlSafe, PgPool};

/// The plain table of an application with hand-written idempotency, and its statement.
const PLAIN: &str = "CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, \
     event_type TEXT NOT NULL, received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";
const BY_HAND: &str = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES ($1, '') \
     ON CONFLICT (event_id) DO NOTHING";

async fn pool() -> PgPool {
    PgPool::connect(&Postgres::shared().await.fresh_database().await).await.unwrap()
}

async fn run(pool: &PgPool, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(pool).await.unwrap();
}

/// The answer of each guarantee for the table.
async fn refusals(log: &PostgresLog) -> [String; 3] {
    let event = EventRef::new("evt_1").unwrap();
    let marked = log.try_mark_event(event).await.unwrap_err();
    let claimed = log.claim(event, Owner::random().unwrap(), Duration::from_mins(1)).await.unwrap_err();
    let in_transaction = match log.begin().await {
        Ok(mut transaction) => log.try_mark_in(&mut transaction, event).await.unwrap_err(),
        Err(error) => error,
    };
    [marked, claimed, in_transaction].map(|error| error.to_string())
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_table_without_a_unique_key_on_the_id_is_refused() {
    for key in ["", "PRIMARY KEY (event_id, event_type)"] {
        let pool = pool().await;
        run(&pool, PostgresLog::SCHEMA).await;
        run(&pool, "ALTER TABLE stripe_processed_events DROP CONSTRAINT stripe_processed_events_pkey").await;
        if !key.is_empty() {
            run(&pool, &format!("ALTER TABLE stripe_processed_events ADD {key}")).await;
        }
        for refusal in refusals(&PostgresLog::new(pool)).await {
            assert!(refusal.contains("`event_id` needs a PRIMARY KEY or UNIQUE constraint"), "{refusal}");
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_log_over_a_pool_creates_nothing_and_says_what_to_create() {
    let log = PostgresLog::new(pool().await);
    for refusal in refusals(&log).await {
        let (said, statement) = refusal.split_once("create it with\n").unwrap();
        assert!(said.contains("there is no table `stripe_processed_events`"), "{said}");
        // Runs each fix that the errors name, up to three times.
        run(log.pool(), statement).await;
        run(log.pool(), "DROP TABLE stripe_processed_events").await;
    }
    log.create_table().await.unwrap();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_lossy_collation_is_refused_with_the_fixing_statement() {
    let pool = pool().await;
    // A server may be built without ICU. It has no collation that takes different ids for one.
    let with_icu = "SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')";
    if !sqlx::query_scalar::<_, bool>(with_icu).fetch_one(&pool).await.unwrap() {
        return;
    }
    let ignoring_case =
        "CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    run(&pool, ignoring_case).await;
    run(&pool, &PostgresLog::SCHEMA.replace("COLLATE \"C\"", "COLLATE ignoring_case")).await;
    let log = PostgresLog::new(pool);
    for refusal in refusals(&log).await {
        assert!(refusal.contains("takes different ids for one"), "{refusal}");
    }
    let [refusal, ..] = refusals(&log).await;
    run(log.pool(), refusal.split_once("with\n").unwrap().1).await;
    for id in ["evt_a", "EVT_A", "evt_a ", "evt_é", "evt_e", "evt_e\u{301}"] {
        assert!(log.try_mark_processed(id).await.unwrap(), "{id:?}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_lossy_type_is_refused_with_the_fixing_statement() {
    let [cut_to, the_same] = ["a", "b"].map(|last| "x".repeat(63) + last);
    let types = "CREATE EXTENSION citext; CREATE DOMAIN ignoring_case AS CITEXT; \
         CREATE DOMAIN short AS VARCHAR(5); CREATE DOMAIN as_short AS short";
    for (column, ids) in [
        ("CITEXT", ["evt_a", "EVT_A"]),
        ("ignoring_case", ["evt_a", "EVT_A"]),
        ("CHAR(255)", ["evt_a", "evt_a "]),
        ("NAME", [&*cut_to, &*the_same]),
        ("VARCHAR(5)", ["evt_a", "evt_a "]),
        ("as_short", ["evt_a", "evt_a "]),
    ] {
        let pool = pool().await;
        run(&pool, types).await;
        run(&pool, &PLAIN.replace("TEXT PRIMARY KEY", &format!("{column} PRIMARY KEY"))).await;
        for id in ids {
            let by_hand = sqlx::query(BY_HAND).bind(id).execute(&pool).await.unwrap();
            assert_eq!(by_hand.rows_affected() == 1, id == ids[0], "{column}: the second event is lost");
        }
        run(&pool, "DELETE FROM stripe_processed_events").await;

        let log = PostgresLog::new(pool);
        for refusal in refusals(&log).await {
            assert!(refusal.contains("takes different ids for one"), "{column}: {refusal}");
        }
        let [refusal, ..] = refusals(&log).await;
        run(log.pool(), refusal.split_once("with\n").unwrap().1).await;
        for id in ids {
            assert!(log.try_mark_processed(id).await.unwrap(), "{column}: {id:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn text_of_any_name_that_holds_every_id_is_taken() {
    for column in ["VARCHAR", "VARCHAR(255)", "CHARACTER VARYING(300)", "an_id"] {
        let pool = pool().await;
        run(&pool, "CREATE DOMAIN an_id AS TEXT CHECK (VALUE <> '')").await;
        run(&pool, &PLAIN.replace("TEXT PRIMARY KEY", &format!("{column} PRIMARY KEY"))).await;
        let log = PostgresLog::new(pool);
        for id in ["evt_a", "EVT_A", "evt_a ", &"x".repeat(255)] {
            assert!(log.try_mark_processed(id).await.unwrap(), "{column}: {id:?}");
        }
    }
}

/// The first attempt fails as a deadlock does; a sequence counts it, because that is not rolled back.
#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_plain_mark_is_repeated_after_a_passing_failure() {
    let pool = pool().await;
    run(&pool, PLAIN).await;
    let failing_once = "CREATE SEQUENCE attempts; \
         CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF nextval('attempts') = 1 THEN RAISE EXCEPTION 'once' USING ERRCODE = '40P01'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER fail_once BEFORE INSERT ON stripe_processed_events \
         FOR EACH ROW EXECUTE FUNCTION fail_once()";
    run(&pool, failing_once).await;
    let log = PostgresLog::new(pool);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}
