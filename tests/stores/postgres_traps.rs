//! Traps of PostgreSQL for hand-written idempotency, tested through the log.

use std::time::{Duration, Instant};

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Outcome, Owner, Ownership, PostgresLog,
    ProcessedEventLog, RETENTION, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::redeliver;
use ferro_idem_tests::servers::{Postgres, until};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

async fn log(connections: u32, settings: &[(&'static str, &'static str)]) -> PostgresLog {
    let url = Postgres::shared().await.fresh_database().await;
    let options: PgConnectOptions = url.parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(connections);
    let log = PostgresLog::new(pool.connect_with(options.options(settings.iter().copied())).await.unwrap());
    log.create_table().await.unwrap();
    log
}

const LEASE: Duration = Duration::from_mins(1);

fn event(id: &str) -> EventRef<'_> {
    EventRef::new(id).unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn no_connection_waits_for_another_deliverys_transaction() {
    let log = log(2, &[]).await;
    let mut first = log.begin().await.unwrap();
    assert_eq!(log.try_mark_in(&mut first, event("evt_1")).await.unwrap(), MarkOutcome::First);
    let start = Instant::now();
    let mut second = log.begin().await.unwrap();
    let outcome = log.try_mark_in(&mut second, event("evt_1")).await.unwrap();
    assert!(matches!(outcome, MarkOutcome::InProgress { .. }), "{outcome:?}");
    PostgresLog::rollback(second).await.unwrap();
    assert!(log.try_mark_processed("evt_2").await.unwrap(), "another event goes on meanwhile");
    // The first transaction is open for as long as anyone waits for it, and a call fails after 10 s.
    assert!(start.elapsed() < Duration::from_secs(8), "at once: {:?}", start.elapsed());
    PostgresLog::commit(first).await.unwrap();
}

#[idempotent_webhook(transaction(tx))]
async fn process(log: &PostgresLog, event: &str) -> Result<Outcome<()>, Error> {
    let asked = sqlx::query("SELECT 1").execute(tx).await;
    asked.map_err(|error| Error::store("ask in the body", error))?;
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(transaction(tx))]
async fn pass_over_a_failure(log: &PostgresLog, event: &str) -> Result<Outcome<()>, Error> {
    drop(sqlx::query("SELECT 1/0").execute(tx).await);
    Ok(Outcome::Processed(()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn races_under_stricter_isolation_are_answered() {
    // Without group commit, so that the racers meet in the server and not in a shared statement.
    for isolation in ["repeatable read", "serializable"] {
        let log = log(8, &[("default_transaction_isolation", isolation)]).await.without_group_commit();
        for round in 0..10 {
            let id = &format!("evt_{round}");
            let marks = join_all((0..8).map(|_| log.try_mark_processed(id))).await;
            let first = marks.into_iter().filter(|marked| *marked.as_ref().unwrap()).count();
            assert_eq!(first, 1, "{isolation}");
            let id = &format!("claim_{round}");
            let claims =
                join_all((0..8).map(|_| log.claim(event(id), Owner::random().unwrap(), LEASE))).await;
            let held = claims.iter().filter(|it| matches!(it, Ok(ClaimOutcome::Acquired { token: 1 })));
            let told = claims.iter().filter(|it| matches!(it, Ok(ClaimOutcome::InProgress { .. })));
            assert_eq!((held.count(), told.count()), (1, 7), "{isolation}: {claims:?}");
            let id = &format!("tx_{round}");
            let processed = join_all((0..8).map(|_| redeliver(|| process(&log, id)))).await;
            let first = processed.into_iter().filter(|it| *it.as_ref().unwrap() == Outcome::Processed(()));
            assert_eq!(first.count(), 1, "{isolation}");
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_body_that_ignores_a_failed_statement_is_not_processed() {
    let log = log(2, &[]).await;
    let error = pass_over_a_failure(&log, "evt_1").await.unwrap_err().to_string();
    assert!(error.contains("rolled the transaction back"), "{error}");
    assert_eq!(process(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
}

/// Counted by `now()`, the time of the wait would be missing.
#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_lease_begins_after_the_wait_for_the_row() {
    let log = log(4, &[]).await;
    let claim = || log.claim(event("evt_1"), Owner::random().unwrap(), LEASE);
    assert_eq!(claim().await.unwrap(), ClaimOutcome::Acquired { token: 1 });
    let expire = "UPDATE stripe_processed_events SET lease_until = clock_timestamp()";
    sqlx::query(expire).execute(log.pool()).await.unwrap();

    let mut holder = log.pool().begin().await.unwrap();
    let hold = "SELECT 1 FROM stripe_processed_events FOR UPDATE";
    sqlx::query(hold).execute(&mut *holder).await.unwrap();
    let let_go = async {
        until("the claim waits for the row", || async {
            let waiting = "SELECT count(*) > 0 FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::query_scalar(waiting).fetch_one(log.pool()).await.unwrap()
        })
        .await;
        sqlx::query("CREATE TABLE let_go AS SELECT clock_timestamp() AS at")
            .execute(&mut *holder)
            .await
            .unwrap();
        holder.commit().await.unwrap();
    };
    let (claimed, ()) = tokio::join!(claim(), let_go);
    assert_eq!(claimed.unwrap(), ClaimOutcome::Acquired { token: 2 });
    let is_whole = "SELECT lease_until >= at + interval '1 minute' FROM stripe_processed_events, let_go";
    assert!(sqlx::query_scalar::<_, bool>(is_whole).fetch_one(log.pool()).await.unwrap());
}

/// The server sees only when it answers that nobody waits any more: without a limit of its own, each attempt that
/// was given up would stay there, with its connection.
#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn attempts_do_not_pile_up_at_the_server() {
    let log = log(8, &[]).await.without_group_commit();
    let owner = Owner::random().unwrap();
    let claimed = log.claim(event("evt_1"), owner, LEASE).await.unwrap();
    assert_eq!(claimed, ClaimOutcome::Acquired { token: 1 });
    let mut holder = log.pool().begin().await.unwrap();
    let hold = "SELECT 1 FROM stripe_processed_events FOR UPDATE; \
         INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_2', '')";
    sqlx::raw_sql(hold).execute(&mut *holder).await.unwrap();
    let given_up = tokio::join!(
        log.try_mark_processed("evt_2"),
        log.claim(event("evt_1"), Owner::random().unwrap(), LEASE),
        log.complete("evt_1", Ownership { owner, token: 1 }),
    );
    let is_store = |error: &Error| matches!(error, Error::Store { .. });
    assert!(is_store(&given_up.0.unwrap_err()));
    assert!(is_store(&given_up.1.unwrap_err()));
    assert!(is_store(&given_up.2.unwrap_err()));
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *holder).await.unwrap();
    assert!(waiting <= 3, "the first attempt of each: {waiting}");
    holder.rollback().await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_purge_deletes_what_is_old_and_nothing_else() {
    let log = log(2, &[]).await;
    let rows = "INSERT INTO stripe_processed_events (event_id, event_type, received_at, state, lease_until) \
         SELECT 'evt_' || n, '', now() - CASE WHEN n % 2 = 0 THEN interval '36 days' ELSE interval '34 days' END, \
         CASE n WHEN 2 THEN 0 ELSE 1 END, CASE n WHEN 2 THEN now() + interval '1 minute' END \
         FROM generate_series(1, 2000) AS n";
    sqlx::raw_sql(rows).execute(log.pool()).await.unwrap();
    assert_eq!(log.purge(RETENTION).await.unwrap(), 999, "the old ones, and not the live claim");
    for kept in ["evt_1", "evt_2"] {
        assert!(!log.try_mark_processed(kept).await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_dropped_begin_leaves_no_open_transaction_in_the_pool() {
    let log = log(1, &[]).await;

    for round in 0..100 {
        drop(ferro_idem_tests::drop_after_polls(log.begin(), 1 + round % 4).await);
        assert!(log.try_mark_processed(&format!("evt_{round}")).await.unwrap());
        let open: Option<String> = sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned()::text")
            .fetch_one(log.pool())
            .await
            .unwrap();
        assert_eq!(open, None, "the mark is committed");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn refusals_say_what_to_do_and_no_password() {
    let admin = log(1, &[]).await;
    let rights = "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'canary'; \
         GRANT SELECT ON stripe_processed_events TO reader";
    sqlx::raw_sql(rights).execute(admin.pool()).await.unwrap();
    let options = (*admin.pool().connect_options()).clone();
    let reader = options.clone().username("reader").password("canary");
    for (options, advice) in [
        (reader, "GRANT SELECT, INSERT, UPDATE, DELETE"),
        (options.clone().options([("default_transaction_read_only", "on")]), "read-only"),
        (options.clone().database("nowhere").password("canary"), "no such database"),
        (options.username("nobody").password("canary"), "refused the user or the password"),
    ] {
        let log = PostgresLog::new(PgPoolOptions::new().connect_lazy_with(options));
        let error = log.try_mark_processed("evt_1").await.unwrap_err();
        assert!(error.to_string().contains(advice), "{error}");
        assert!(!format!("{error:?} {log:?}").contains("canary"));
    }
    assert!(admin.try_mark_processed("evt_1").await.unwrap(), "it knows its table");
    let _held = admin.pool().acquire().await.unwrap();
    for error in [admin.try_mark_processed("evt_1").await.err(), admin.begin().await.err()] {
        let error = error.expect("the pool has no connection left");
        assert!(error.to_string().contains("max_connections"), "{error}");
    }
}
