//! A lost reply does not lose the event.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, Ownership, ProcessedEventLog, RedisLog};
use ferro_idem_tests::proxy::{From, Protocol, Proxy, Then};
use ferro_idem_tests::servers::{Redis, until};
use redis::aio::ConnectionManager;

use super::{LEASE, acquire, connect_to};

/// A log behind the proxy whose scripts the server knows, so that one reply is one step.
async fn log_behind_a_proxy(server: &Redis) -> (RedisLog<ConnectionManager>, Proxy) {
    let proxy = Proxy::before(Protocol::Redis, server.server().port()).await;
    let log = RedisLog::new(connect_to(&proxy.url(&server.url())).await);
    assert!(log.try_mark_processed("known").await.unwrap());
    let held = acquire(&log, "known too", LEASE).await;
    assert!(log.renew("known too", held, LEASE).await.unwrap());
    assert!(log.release("known too", held).await.unwrap());
    (log, proxy)
}

/// The second one may be one to the client that connects anew.
#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_mark_that_loses_any_two_replies_is_the_first() {
    let server = Redis::start().await;
    let (log, proxy) = log_behind_a_proxy(&server).await;
    for second in 0.. {
        let id = format!("evt_{second}");
        proxy.lose_each([0, second], From::Server, Then::Close);
        assert!(log.try_mark_processed(&id).await.unwrap());
        let both_were_lost = proxy.has_lost();
        assert!(!log.try_mark_processed(&id).await.unwrap());
        if !both_were_lost {
            assert!(second > 0, "the repeated mark has a reply as well");
            break;
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn every_step_of_a_claim_survives_a_lost_reply() {
    let server = Redis::start().await;
    let (log, proxy) = log_behind_a_proxy(&server).await;
    let lose_the_reply = || proxy.lose(0, From::Server, Then::Close);
    let claim = async |owner| {
        lose_the_reply();
        let outcome = log.claim(EventRef::new("evt_1").unwrap(), owner, LEASE).await.unwrap();
        assert!(proxy.has_lost());
        outcome
    };
    let owner = Owner::random().unwrap();
    assert_eq!(claim(owner).await, ClaimOutcome::Acquired { token: 1 });
    let first = Ownership { owner, token: 1 };
    lose_the_reply();
    assert!(log.renew("evt_1", first, LEASE).await.unwrap());
    assert!(proxy.has_lost());
    lose_the_reply();
    assert!(log.release("evt_1", first).await.unwrap());
    assert!(proxy.has_lost());
    let owner = Owner::random().unwrap();
    assert_eq!(claim(owner).await, ClaimOutcome::Acquired { token: 2 });
    lose_the_reply();
    assert!(log.complete("evt_1", Ownership { owner, token: 2 }).await.unwrap());
    assert!(proxy.has_lost());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_mark_that_is_answered_too_late_is_the_first() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    // Longer than redis-rs waits.
    let _: () = server.tell("CLIENT PAUSE 1200 ALL").await;
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn scripts_are_brought_again_to_a_server_that_forgot_them() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let held = acquire(&log, "claimed", LEASE).await;
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    let _: () = server.tell("SCRIPT FLUSH").await;
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    assert!(log.renew("claimed", held, LEASE).await.unwrap());

    server.server().kill();
    server.start_again().await;
    assert!(!log.try_mark_processed("evt_1").await.unwrap(), "the file keeps what was acknowledged");
    assert!(log.complete("claimed", held).await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_server_that_is_gone_is_an_error_in_bounded_time() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    server.server().kill();
    let asked = tokio::time::timeout(Duration::from_secs(15), log.try_mark_processed("evt_2")).await;
    let error = asked.expect("a bound").unwrap_err().to_string();
    assert!(error.starts_with("could not mark the event as processed: "), "{error}");

    server.start_again().await;
    until("the log works again", || async { log.try_mark_processed("evt_2").await.is_ok() }).await;
}
