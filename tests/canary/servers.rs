//! Real servers quote the values that they refuse.

use ferro_idem::stripe::StripeEvent;
use ferro_idem::{
    Error, EventRef, MySqlLog, MySqlTransaction, Outcome, PostgresLog, PostgresTransaction,
    ProcessedEventLog, RedisLog, SqliteLog, SqliteTransaction, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::{MariaDb, Postgres, Redis};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool};

use super::shown::{CANARY, all_of, assert_error_is_silent, assert_traces_are_silent, event, listen};

fn note(event: &StripeEvent) -> String {
    event.object::<serde_json::Value>().unwrap()["note"].as_str().unwrap().to_owned()
}

/// A log in a database of its own, beside what these statements make.
async fn postgres_with(statements: &str) -> PostgresLog {
    let pool = PgPool::connect(&Postgres::shared().await.fresh_database().await).await.unwrap();
    let log = PostgresLog::new(pool);
    log.create_table().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(log.pool()).await.unwrap();
    log
}

#[idempotent_webhook(transaction(tx))]
async fn on_postgres<L: TransactionalLog<Transaction = PostgresTransaction>>(
    log: &L,
    event: StripeEvent,
) -> Result<Outcome<()>, Error> {
    sqlx::query("INSERT INTO notes VALUES ($1)").bind(note(&event)).execute(tx).await.unwrap();
    Ok(Outcome::Processed(()))
}

/// A constraint that is checked at the commit is about what the body wrote, and its error is the library's.
#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn no_refused_commit_of_postgres_quotes_what_the_body_wrote() {
    listen();
    for (constraint, code) in [
        ("UNIQUE (note) DEFERRABLE INITIALLY DEFERRED", "23505, by `notes_note_key` of `notes`"),
        (
            "FOREIGN KEY (note) REFERENCES kept DEFERRABLE INITIALLY DEFERRED",
            "23503, by `notes_note_fkey` of `notes`",
        ),
    ] {
        let tables = format!(
            "CREATE TABLE kept (note TEXT PRIMARY KEY); CREATE TABLE notes (note TEXT); \
             ALTER TABLE notes ADD {constraint}"
        );
        let log = postgres_with(&tables).await;
        if constraint.starts_with("UNIQUE") {
            sqlx::query("INSERT INTO notes VALUES ($1)").bind(CANARY).execute(log.pool()).await.unwrap();
        }
        let error = on_postgres(&log, event("evt_1")).await.unwrap_err();
        let told = all_of(&error);
        assert!(error.to_string().contains("checked at the commit"), "{told}");
        assert!(told.contains(code), "{told}");
        assert_error_is_silent(constraint, error).await;
    }
    assert_traces_are_silent(&[]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn no_trigger_of_postgres_that_raises_at_the_commit_is_quoted() {
    let trigger = "CREATE TABLE notes (note TEXT); \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'refused: %', NEW.note; END $$; \
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION refuse()";
    let log = postgres_with(trigger).await;
    let error = on_postgres(&log, event("evt_1")).await.unwrap_err();
    assert!(all_of(&error).contains("P0001"), "{}", all_of(&error));
    assert_error_is_silent("a trigger", error).await;
}

#[idempotent_webhook(transaction(tx))]
async fn on_sqlite<L: TransactionalLog<Transaction = SqliteTransaction>>(
    log: &L,
    event: StripeEvent,
) -> Result<Outcome<()>, Error> {
    sqlx::query("INSERT INTO notes VALUES (?)").bind(note(&event)).execute(tx).await.unwrap();
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn after_a_refused_commit_the_next_delivery_runs() {
    listen();
    let folder = tempfile::TempDir::new().unwrap();
    let log: SqliteLog = open_sqlite(folder.path(), 2).await;
    let tables = "CREATE TABLE kept (note TEXT PRIMARY KEY); \
         CREATE TABLE notes (note TEXT REFERENCES kept DEFERRABLE INITIALLY DEFERRED)";
    sqlx::raw_sql(tables).execute(log.pool()).await.unwrap();
    let error = on_sqlite(&log, event("evt_1")).await.unwrap_err();
    assert!(error.to_string().contains("checked at the commit"), "{}", all_of(&error));
    assert_error_is_silent("a refused commit", error).await;
    sqlx::query("INSERT INTO kept VALUES (?)").bind(CANARY).execute(log.pool()).await.unwrap();
    assert_eq!(on_sqlite(&log, event("evt_1")).await.unwrap(), Outcome::Processed(()));
    assert_traces_are_silent(&["INSERT INTO notes"]);
}

#[idempotent_webhook(transaction(tx))]
async fn on_mysql<L: TransactionalLog<Transaction = MySqlTransaction>>(
    log: &L,
    event: StripeEvent,
) -> Result<Outcome<()>, Error> {
    sqlx::query("INSERT INTO notes VALUES (?)").bind(note(&event)).execute(tx).await.unwrap();
    Ok(Outcome::Processed(()))
}

/// If the log's table refuses a row, the server quotes the id and the type. The row has no other values.
#[tokio::test]
#[ignore = "needs PostgreSQL and MariaDB: run tests/run"]
async fn no_table_that_refuses_an_event_shows_the_payload() {
    listen();
    let refusing = "CREATE TABLE notes (note TEXT); \
         ALTER TABLE stripe_processed_events ADD CHECK (event_type = 'refund')";
    let postgres = postgres_with(refusing).await;
    let error = on_postgres(&postgres, event("evt_1")).await.unwrap_err();
    assert!(error.to_string().contains("does not take the event"), "{}", all_of(&error));
    assert_error_is_silent("PostgreSQL", error).await;

    let pool = MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await.unwrap();
    let mysql = MySqlLog::new(pool);
    mysql.create_table().await.unwrap();
    sqlx::raw_sql(refusing).execute(mysql.pool()).await.unwrap();
    let error = on_mysql(&mysql, event("evt_1")).await.unwrap_err();
    assert!(error.to_string().contains("does not take the event"), "{}", all_of(&error));
    assert_error_is_silent("MariaDB", error).await;
    assert_traces_are_silent(&[]);
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn no_error_of_redis_shows_what_its_key_holds() {
    listen();
    let server = Redis::start().await;
    let _: () = server.tell(&format!("SET stripe_processed_events:evt_1 {CANARY}")).await;
    let log = RedisLog::new(server.connection().await);
    let event = EventRef::new("evt_1").unwrap();
    let error = log.try_mark_event(event).await.unwrap_err();
    assert!(error.to_string().contains("key_prefix"), "{error}");
    assert_error_is_silent("Redis", error).await;
    assert_traces_are_silent(&[]);
}
