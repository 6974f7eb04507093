//! Every script uses one key, so each event is on one node.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::{Redis, RedisCluster};
use redis::cluster::ClusterClientBuilder;

use super::{LEASE, acquire, claim};

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn every_step_works_on_every_node() {
    let cluster = RedisCluster::start().await;
    let log = RedisLog::new(cluster.connection().await);
    for number in 0..100 {
        let id = format!("fenced {number}");
        assert!(log.try_mark_processed(&id).await.unwrap());
        assert!(!log.try_mark_processed(&id).await.unwrap());

        let id = format!("claimed {number}");
        let first = acquire(&log, &id, LEASE).await;
        assert!(matches!(claim(&log, &id).await, ClaimOutcome::InProgress { .. }));
        assert!(log.renew(&id, first, LEASE).await.unwrap());
        assert!(log.release(&id, first).await.unwrap());
        let second = acquire(&log, &id, LEASE).await;
        assert!(!log.complete(&id, first).await.unwrap());
        assert!(log.complete(&id, second).await.unwrap());
        assert_eq!(claim(&log, &id).await, ClaimOutcome::Processed);
    }
    for node in cluster.nodes() {
        assert!(node.tell::<usize>("DBSIZE").await > 30, "no node is left out");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_node_learns_a_script_while_another_node_is_stopped() {
    let cluster = RedisCluster::start().await;
    let owner = cluster.owner_of("stripe_processed_events:evt_1").await;
    // Longer than this test waits, so that a call that waits for the stopped node fails the test.
    let patient = ClusterClientBuilder::new(cluster.nodes().iter().map(Redis::url))
        .response_timeout(Duration::from_mins(2))
        .build()
        .unwrap();
    let log = RedisLog::new(patient.get_async_connection().await.unwrap());
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    let _: () = cluster.nodes()[owner].tell("SCRIPT FLUSH").await;
    cluster.nodes()[(owner + 1) % 3].server().pause();
    let asked = tokio::time::timeout(Duration::from_mins(1), log.try_mark_processed("evt_1")).await;
    assert!(!asked.expect("only the event's own node is asked").unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_resending_client_makes_no_duplicate_of_a_first_delivery() {
    let cluster = RedisCluster::start().await;
    let log = RedisLog::new(cluster.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    for node in cluster.nodes() {
        // Longer than redis-rs waits, so the mark is made by a call whose answer is not read.
        let _: () = node.tell("CLIENT PAUSE 1200 ALL").await;
    }
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: run tests/run"]
async fn of_many_marks_at_once_one_is_the_first() {
    let cluster = RedisCluster::start().await;
    let log = RedisLog::new(cluster.connection().await);
    for round in 0..10 {
        let marks = (0..50).map(|_| {
            let log = log.clone();
            tokio::spawn(async move { log.try_mark_processed(&format!("evt_{round}")).await.unwrap() })
        });
        let firsts = futures_util::future::join_all(marks).await;
        assert_eq!(firsts.into_iter().filter(|first| *first.as_ref().unwrap()).count(), 1);
    }
}
