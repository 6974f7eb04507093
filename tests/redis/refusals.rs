//! A request that the server refuses is not sent again, and the error says how to fix it.

use std::error::Error as _;
use std::time::{Duration, Instant};

use ferro_idem::{ClaimLog, Error, ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::Redis;
use redis::aio::ConnectionLike;

use super::{LEASE, acquire, connect_to};

/// The error of a mark that is refused at once.
async fn refused<C>(log: &RedisLog<C>, id: &str) -> Error
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let start = Instant::now();
    let error = log.try_mark_processed(id).await.unwrap_err();
    // What passes is tried for ten seconds.
    assert!(start.elapsed() < Duration::from_secs(5), "sent again");
    error
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_key_that_is_no_hash_is_left_alone() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let _: () = server.tell("SET stripe_processed_events:evt_1 mine").await;
    let error = refused(&log, "evt_1").await.to_string();
    assert!(error.contains("`with_key_prefix`"), "{error}");
    assert_eq!(server.tell::<String>("GET stripe_processed_events:evt_1").await, "mine");
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_full_memory_says_to_make_room_and_loses_nothing() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let _: () = server.tell("CONFIG SET maxmemory 1").await;
    let error = refused(&log, "evt_1").await.to_string();
    assert!(error.contains("make room"), "{error}");
    let _: () = server.tell("CONFIG SET maxmemory 0").await;
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn the_documented_rights_are_enough_and_all_needed() {
    let server = Redis::start().await;
    let rights = "+evalsha +eval +exists +hget +hmget +hset +hsetnx +hdel +pexpire +time +info";
    let _: () =
        server.tell(&format!("ACL SETUSER app on >secret ~stripe_processed_events:* -@all {rights}")).await;
    let url = format!("redis://app:secret@127.0.0.1:{}", server.server().port());
    let log = RedisLog::new(connect_to(&url).await);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    let held = acquire(&log, "evt_2", LEASE).await;
    assert!(log.renew("evt_2", held, LEASE).await.unwrap());
    assert!(log.complete("evt_2", held).await.unwrap());

    let elsewhere = RedisLog::new(connect_to(&url).await).with_key_prefix("elsewhere:");
    let error = refused(&elsewhere, "evt_1").await.to_string();
    assert!(error.contains("lacks a right"), "{error}");
    for right in rights.split(' ') {
        let _: () = server.tell(&format!("ACL SETUSER app -{}", &right[1..])).await;
        let _: () = server.tell("SCRIPT FLUSH").await;
        let log = RedisLog::new(connect_to(&url).await);
        let fenced = async {
            log.try_mark_processed(&format!("new {right}")).await?;
            log.try_mark_processed("evt_1").await?;
            let claim = |id| log.claim(ferro_idem::EventRef::new(id).unwrap(), held.owner, LEASE);
            claim("evt_1").await?;
            claim(right).await?;
            log.release(right, held).await
        };
        assert!(fenced.await.is_err(), "{right} is not needed");
        let _: () = server.tell(&format!("ACL SETUSER app {right}")).await;
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn no_secret_is_told() {
    let server = Redis::start().await;
    let _: () = server.tell("ACL SETUSER app on >s3cr3t ~* +@all").await;
    let connection = connect_to(&format!("redis://app:s3cr3t@127.0.0.1:{}", server.server().port())).await;
    let log = RedisLog::new(connection);
    assert_eq!(
        format!("{log:?}"),
        "RedisLog { key_prefix: \"stripe_processed_events:\", retention: 3024000s, \
         accepts_eviction: false, .. }"
    );
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    // The password changes, and the connection has to be made again.
    let _: () = server.tell("ACL SETUSER app resetpass >another").await;
    let _: usize = server.tell("CLIENT KILL USER app").await;
    let error = log.try_mark_processed("evt_2").await.unwrap_err();
    let told = format!("{error} {error:?} {:?}", error.source());
    assert!(!told.contains("s3cr3t"), "{told}");
}
