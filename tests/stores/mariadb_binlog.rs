//! A replica of MariaDB does what the primary did.
//!
//! By default (`binlog_format = MIXED`) the replica gets the statements themselves, with their parameters as text
//! literals. It compared an owner in a derived table as text, and found none.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, MySqlLog, Owner, Ownership};
use ferro_idem_tests::servers::{Acknowledgement, MariaDbReplicas, until};
use sqlx::{MySqlPool, query, query_as};

const EVENTS: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB, which tests/run installs"]
async fn a_replica_ends_each_claim_as_its_primary_did() {
    let servers = MariaDbReplicas::start(Acknowledgement::None).await;
    let administrator = MySqlPool::connect(&servers.url("mysql").await).await.unwrap();
    query("CREATE DATABASE shop").execute(&administrator).await.unwrap();
    let pool = MySqlPool::connect(&servers.url("shop").await).await.unwrap();
    let log = MySqlLog::new(pool.clone());
    log.create_table().await.unwrap();
    let lease = Duration::from_mins(1);
    for number in 0..EVENTS {
        for ending in ["completed", "released", "withdrawn", "renewed"] {
            let (id, owner) = (format!("evt_{number}_{ending}"), Owner::random().unwrap());
            let held = match log.claim(EventRef::new(&id).unwrap(), owner, lease).await.unwrap() {
                ClaimOutcome::Acquired { token } => Ownership { owner, token },
                other => panic!("{other:?}"),
            };
            let is_done = match ending {
                "completed" => log.complete(&id, held).await,
                "released" => log.release(&id, held).await,
                "withdrawn" => log.withdraw(&id, held).await,
                _ => log.renew(&id, held, 10 * lease).await,
            };
            assert!(is_done.unwrap(), "{id}");
        }
    }
    let last = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('last', '')";
    query(last).execute(&pool).await.unwrap();
    let replica = MySqlPool::connect(&servers.replica_url("shop").await).await.unwrap();
    until("the replica has all", || async {
        states(&replica).await.is_ok_and(|rows| rows.iter().any(|row| row.0 == b"last"))
    })
    .await;
    let (on_primary, on_replica) = (states(&pool).await.unwrap(), states(&replica).await.unwrap());
    for (primary, replica) in on_primary.iter().zip(&on_replica) {
        assert_eq!(primary, replica, "{}", String::from_utf8_lossy(&primary.0));
    }
    assert_eq!(on_primary.len(), on_replica.len());
}

type Row = (Vec<u8>, i8, Option<Vec<u8>>, i64, Option<i64>);

/// All events, in the order of their ids.
async fn states(pool: &MySqlPool) -> Result<Vec<Row>, sqlx::Error> {
    let states = query_as(
        "SELECT event_id, state, owner, fencing_token, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', lease_until) \
         FROM stripe_processed_events ORDER BY event_id",
    );
    states.fetch_all(pool).await
}
