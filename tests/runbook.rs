//! The statements of `docs/operations.md` run on a server as they stand.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, PostgresLog, ProcessedEventLog};
use ferro_idem_tests::servers::Postgres;
use sqlx::{AssertSqlSafe, Executor, PgPool};

const RUNBOOK: &str = include_str!("../docs/operations.md");
const LEASE: Duration = Duration::from_mins(1);

/// The runbook's statement that holds this text.
fn statement(holds: &str) -> String {
    let statements = RUNBOOK.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = statements.filter(|statement| statement.contains(holds));
    let statement = found.next().unwrap_or_else(|| panic!("no statement with {holds}"));
    assert!(found.next().is_none(), "two statements with {holds}");
    statement.to_owned()
}

async fn run(pool: &PgPool, holds: &str) -> u64 {
    pool.execute(AssertSqlSafe(statement(holds))).await.unwrap().rows_affected()
}

async fn claim(log: &PostgresLog) -> ClaimOutcome {
    let event = EventRef::new("evt_1").unwrap().with_type("invoice.paid");
    log.claim(event, Owner::random().unwrap(), LEASE).await.unwrap()
}

#[tokio::test]
#[ignore = "starts PostgreSQL; tests/run runs it"]
async fn the_runbook_frees_completes_and_forgets_an_event() {
    let server = Postgres::start().await;
    let pool = PgPool::connect(&server.fresh_database().await).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    log.create_table().await.unwrap();
    let looks = RUNBOOK.matches("\nSELECT ").count();
    assert_eq!(looks, 6, "a look was added or removed: run it below");

    assert_eq!(claim(&log).await, ClaimOutcome::Acquired { token: 1 });
    for look in
        ["GROUP BY state", "lease_left", "WHERE state = 0 ORDER", "pg_stat_activity", ">= 5", "purgeable"]
    {
        run(&pool, look).await;
    }

    // Stuck: freed by hand, and the token grows with the next claim.
    assert!(matches!(claim(&log).await, ClaimOutcome::InProgress { .. }));
    assert_eq!(run(&pool, "SET state = 2").await, 1);
    assert_eq!(claim(&log).await, ClaimOutcome::Acquired { token: 2 });

    // Poison: released, then completed by hand.
    assert_eq!(run(&pool, "SET state = 2").await, 1);
    assert_eq!(run(&pool, "SET state = 1").await, 1);
    assert_eq!(claim(&log).await, ClaimOutcome::Processed);

    // Lost to a fence: forgotten, and the next delivery is first.
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(run(&pool, "DELETE FROM").await, 1);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}
