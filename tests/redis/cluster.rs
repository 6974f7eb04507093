//! Every script touches one key, so that each event lives on one node.

use ferro_idem::{ClaimLog, ClaimOutcome, ProcessedEventLog, RedisLog};

use super::servers::Cluster;
use super::{LEASE, acquire, claim};

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn every_step_works_on_every_node() {
    let cluster = Cluster::start_with(&[]).await;
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
    for node in &cluster.nodes {
        assert!(node.tell::<usize>("DBSIZE").await > 30, "no node is left out");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_script_that_one_node_does_not_know_is_brought_to_it_while_another_node_is_down() {
    let mut cluster = Cluster::start_with(&["--cluster-require-full-coverage", "no"]).await;
    let slot: u16 = cluster.nodes[0].tell("CLUSTER KEYSLOT stripe_processed_events:evt_1").await;
    let owner = usize::from(slot / 5462).min(2);
    let log = RedisLog::new(cluster.connection().await);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    let _: () = cluster.nodes[owner].tell("SCRIPT FLUSH").await;
    cluster.nodes[(owner + 1) % 3].kill();
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}
