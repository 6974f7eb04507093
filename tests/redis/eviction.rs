//! The log refuses a server that may evict keys.

use std::time::Duration;

use ferro_idem::{ClaimLog, EventRef, Owner, ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::{Redis, RedisCluster, until};

use futures_util::future::join_all;

use super::{LEASE, acquire, connect_to};

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_server_that_evicts_is_refused_and_nothing_is_written() {
    let server = Redis::start_with(&["--maxmemory-policy", "volatile-lru"]).await;
    let log = RedisLog::new(server.connection().await);
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("`maxmemory-policy` is `volatile-lru`"), "{refused}");
    assert!(refused.contains("`noeviction`") && refused.contains("with_eviction_accepted()"), "{refused}");
    let event = EventRef::new("evt_1").unwrap();
    assert!(log.claim(event, Owner::random().unwrap(), LEASE).await.is_err());
    assert_eq!(server.tell::<usize>("DBSIZE").await, 0);

    let _: () = server.tell("CONFIG SET maxmemory-policy noeviction").await;
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "a refusal is not remembered");
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_server_that_evicts_is_used_when_told() {
    let server = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let log = RedisLog::new(server.connection().await).with_eviction_accepted();
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    acquire(&log, "evt_2", LEASE).await;
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_server_that_does_not_say_is_refused_and_used_when_told() {
    let server = Redis::start().await;
    let _: () = server.tell("ACL SETUSER app on >secret ~* +@all -info").await;
    let connection = connect_to(&format!("redis://app:secret@127.0.0.1:{}", server.server().port())).await;
    let refused =
        RedisLog::new(connection.clone()).try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("allow `INFO`") && refused.contains("with_eviction_accepted()"), "{refused}");
    assert_eq!(server.tell::<usize>("DBSIZE").await, 0);
    assert!(RedisLog::new(connection).with_eviction_accepted().try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_server_that_begins_to_evict_is_refused_within_a_minute() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let held = acquire(&log, "evt_1", LEASE).await;
    let _: () = server.tell("CONFIG SET maxmemory-policy allkeys-lru").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let refused = log.try_mark_processed("evt_2").await.unwrap_err().to_string();
    assert!(refused.contains("allkeys-lru"), "{refused}");
    assert!(log.complete("evt_1", held).await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_cluster_is_refused_if_any_of_its_nodes_evicts() {
    let cluster = RedisCluster::start().await;
    let connection = cluster.connection().await;
    for node in cluster.nodes() {
        let _: () = node.tell("CONFIG SET maxmemory-policy allkeys-random").await;
        for id in 0..6 {
            let log = RedisLog::new(connection.clone());
            let refused = log.try_mark_processed(&format!("evt_{id}")).await.unwrap_err().to_string();
            assert!(refused.contains("allkeys-random"), "{refused}");
        }
        let _: () = node.tell("CONFIG SET maxmemory-policy noeviction").await;
    }
    assert!(RedisLog::new(connection).try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_cluster_with_an_unreachable_node_is_refused_at_first_only() {
    let cluster = RedisCluster::start_with(&["--cluster-require-full-coverage", "no"]).await;
    // With the hash tag, all events are on one node, which is not the one that goes down.
    let prefix = "{on_one_node}";
    let owner = cluster.owner_of(prefix).await;
    let asked_before = RedisLog::new(cluster.connection().await).with_key_prefix(prefix);
    assert!(asked_before.try_mark_processed("evt_1").await.unwrap());

    cluster.nodes()[(owner + 1) % 3].server().kill();
    let connection = cluster.connection().await;
    let never_asked = RedisLog::new(connection.clone()).with_key_prefix(prefix);
    let refused = never_asked.try_mark_processed("evt_2").await.unwrap_err().to_string();
    assert!(refused.contains("make sure that the server forgets no event"), "{refused}");
    let told = RedisLog::new(connection).with_key_prefix(prefix).with_eviction_accepted();
    assert!(told.try_mark_processed("evt_3").await.unwrap(), "the event's own node is up");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert!(asked_before.try_mark_processed("evt_2").await.unwrap());

    cluster.nodes()[(owner + 1) % 3].start_again().await;
    until("the log that was first used meanwhile works", || async {
        never_asked.try_mark_processed("evt_4").await.is_ok()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_stopped_master_does_not_delay_the_other_masters_events() {
    let cluster = RedisCluster::start_with(&["--cluster-require-full-coverage", "no"]).await;
    let prefix = "{on_one_node}";
    let owner = cluster.owner_of(prefix).await;
    let log = RedisLog::new(cluster.connection().await).with_key_prefix(prefix);
    assert!(log.try_mark_processed("evt_1").await.unwrap());

    cluster.nodes()[(owner + 1) % 3].server().pause();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    // Less than the deadline of a call, with room for a busy machine.
    let asked = tokio::time::timeout(Duration::from_secs(9), log.try_mark_processed("evt_2")).await;
    assert!(asked.expect("it is asked a single time").unwrap());
    let event = EventRef::new("evt_3").unwrap();
    assert!(log.claim(event, Owner::random().unwrap(), LEASE).await.is_ok());
}

/// How often the server was asked for `INFO`.
async fn looks(server: &Redis) -> u64 {
    let stats: String = server.tell("INFO commandstats").await;
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_info:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_thousand_first_calls_look_at_the_server_once() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let ids: Vec<String> = (0..1_000).map(|number| format!("evt_{number}")).collect();
    for minute in 0_u64..2 {
        let before = looks(&server).await;
        let marks = join_all(ids.iter().map(|id| log.try_mark_processed(id))).await;
        assert!(marks.into_iter().all(|marked| marked.unwrap() == (minute == 0)));
        // `INFO commandstats` counts itself.
        assert_eq!(looks(&server).await - before, 2, "minute {minute}");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
    }
}
