//! `PgBouncer` in transaction mode, with fewer sessions than the pool has connections: it works as documented, or it is
//! refused with advice.

use std::pin::pin;
use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership, PostgresLog, PostgresTransaction,
    ProcessedEventLog, RETENTION, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::servers::{PgBouncer, Postgres};
use futures_util::future::{join_all, select};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

const DELIVERIES: usize = 90;

/// A pool through the pooler, and one beside it.
async fn pools(pooler: &PgBouncer, url: &str, cached: usize) -> (PgPool, PgPool) {
    let direct = PgPoolOptions::new().max_connections(2).connect(url).await.unwrap();
    let options: PgConnectOptions = pooler.url(url.rsplit('/').next().unwrap()).parse().unwrap();
    let options = options.statement_cache_capacity(cached).extra_float_digits(None);
    let through = PgPoolOptions::new().max_connections(16).connect_with(options).await.unwrap();
    (through, direct)
}

#[idempotent_webhook(transaction(tx))]
async fn transacted<L>(log: &L, event: &str) -> Result<(), Error>
where
    L: TransactionalLog<Transaction = PostgresTransaction>,
{
    sqlx::query("INSERT INTO effects VALUES ($1)")
        .persistent(false)
        .bind(event)
        .execute(&mut *tx)
        .await
        .unwrap();
    Ok(())
}

#[tokio::test]
#[ignore = "needs PostgreSQL and PgBouncer: run tests/run"]
async fn every_guarantee_works_behind_pgbouncer() {
    let server = Postgres::shared().await;
    let url = server.fresh_database().await;
    let pooler = PgBouncer::start(server, 3).await;
    let (through, direct) = pools(&pooler, &url, 0).await;
    sqlx::raw_sql("CREATE TABLE effects (id TEXT PRIMARY KEY)").execute(&direct).await.unwrap();
    for (round, grouped) in [(0, true), (1, false)] {
        let log = PostgresLog::new(through.clone()).behind_transaction_pooler();
        let log = if grouped { log } else { log.without_group_commit() };
        log.create_table().await.unwrap();
        log.check().await.unwrap();
        let ids: Vec<String> = (0..DELIVERIES).map(|number| format!("evt_{round}_{number}")).collect();
        for is_first in [true, false] {
            for marked in join_all(ids.iter().map(|id| log.try_mark_processed(id))).await {
                assert_eq!(marked.unwrap(), is_first);
            }
        }
        let transacted = join_all(ids.iter().map(async |id| {
            let event = format!("t{id}");
            transacted(&log, &event).await
        }));
        for replied in transacted.await {
            replied.unwrap();
        }
        let claimed = join_all(ids.iter().map(async |id| {
            let id = format!("c{id}");
            let event = EventRef::new(&id).unwrap();
            let owner = Owner::random().unwrap();
            let ClaimOutcome::Acquired { token } =
                log.claim(event, owner, Duration::from_mins(1)).await.unwrap()
            else {
                panic!("it is new")
            };
            let held = Ownership { owner, token };
            assert!(log.renew(&id, held, Duration::from_mins(1)).await.unwrap());
            assert!(log.complete(&id, held).await.unwrap());
        }));
        claimed.await;
        assert_eq!(log.purge(RETENTION).await.unwrap(), 0);
    }
    let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(&direct).await.unwrap();
    assert_eq!(usize::try_from(effects).unwrap(), 2 * DELIVERIES);
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM stripe_processed_events").fetch_one(&direct).await.unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), 6 * DELIVERIES);
}

#[tokio::test]
#[ignore = "needs PostgreSQL and PgBouncer: run tests/run"]
async fn pgbouncer_is_refused_with_advice_without_its_setting() {
    let server = Postgres::shared().await;
    let url = server.fresh_database().await;
    let pooler = PgBouncer::start(server, 3).await;
    for cached in [100, 0] {
        let (through, direct) = pools(&pooler, &url, cached).await;
        PostgresLog::new(direct).create_table().await.unwrap();
        let log = PostgresLog::new(through);
        let refused = log.check().await.unwrap_err().to_string();
        assert!(refused.contains("behind_transaction_pooler"), "{refused}");
        let ids: Vec<String> = (0..DELIVERIES).map(|number| format!("evt_{number}")).collect();
        for marked in join_all(ids.iter().map(|id| log.try_mark_processed(id))).await {
            let refused = marked.unwrap_err().to_string();
            assert!(refused.contains("behind_transaction_pooler"), "{refused}");
        }
    }
}

/// A statement is prepared and run in two messages, and another client may get its session in between.
#[tokio::test]
#[ignore = "needs PostgreSQL and PgBouncer: run tests/run"]
async fn a_check_behind_pgbouncer_works_beside_other_clients() {
    let server = Postgres::shared().await;
    let url = server.fresh_database().await;
    let pooler = PgBouncer::start(server, 3).await;
    let (through, _direct) = pools(&pooler, &url, 0).await;
    let log = &PostgresLog::new(through).behind_transaction_pooler();
    log.create_table().await.unwrap();
    let checks = async {
        for _ in 0..40 {
            log.check().await.unwrap();
        }
    };
    let others = (0..8).map(async |client| {
        for number in 0.. {
            log.try_mark_processed(&format!("evt_{client}_{number}")).await.unwrap();
        }
    });
    select(pin!(checks), pin!(join_all(others))).await;
}

/// The sessions of a server without a pooler are told apart.
#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_itself_is_not_taken_for_a_pooler() {
    let url = Postgres::shared().await.fresh_database().await;
    for connections in [1, 2, 16] {
        let pool = PgPoolOptions::new().max_connections(connections).connect(&url).await.unwrap();
        let log = PostgresLog::new(pool);
        log.create_table().await.unwrap();
        log.check().await.unwrap();
        let pinned = log.behind_transaction_pooler();
        assert!(pinned.try_mark_processed(&format!("evt_{connections}")).await.unwrap());
    }
}
