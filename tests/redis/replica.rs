//! After a failover, the name that the log connects to leads to another server.

use ferro_idem::{ProcessedEventLog, RedisLog};
use ferro_idem_tests::proxy::{Protocol, Proxy};
use ferro_idem_tests::servers::Redis;

use super::connect_to;

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_connection_to_a_demoted_primary_is_left() {
    let (old, new) = (Redis::start().await, Redis::start().await);
    let name = Proxy::before(Protocol::Redis, old.server().port()).await;
    let log = RedisLog::new(connect_to(&name.url(&old.url())).await);
    assert!(log.try_mark_processed("evt_1").await.unwrap());

    // As in a failover by hand. An open connection stays open.
    let _: () = old.tell(&format!("REPLICAOF 127.0.0.1 {}", new.server().port())).await;
    name.lead_to(new.server().port());
    assert!(log.try_mark_processed("evt_2").await.unwrap());
    assert_eq!(new.tell::<usize>("EXISTS stripe_processed_events:evt_2").await, 1);
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_replica_is_refused_with_advice() {
    let (primary, replica) = (Redis::start().await, Redis::start().await);
    let _: () = replica.tell(&format!("REPLICAOF 127.0.0.1 {}", primary.server().port())).await;
    let log = RedisLog::new(replica.connection().await);
    let refused = log.try_mark_processed("evt_1").await.unwrap_err().to_string();
    assert!(refused.contains("connect to the primary"), "{refused}");
}
