//! A call to a stopped server that was answered with an error is not carried out afterwards.

use std::time::{Duration, Instant};

use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, Owner, ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::{Redis, until};
use futures_util::future::join_all;
use redis::aio::ConnectionManager;
use tokio::time::sleep;

use super::{LEASE, acquire};

/// How long a call tries, as the documentation says.
const DEADLINE: Duration = Duration::from_secs(10);

/// The outcomes of a hundred marks that begin while the server is stopped for so long.
async fn marks_during_a_stall(
    server: &Redis,
    log: &RedisLog<ConnectionManager>,
    length: Duration,
) -> Vec<(String, Result<bool, Error>)> {
    assert!(log.try_mark_processed("known").await.unwrap());
    server.server().pause();
    let stall = async {
        sleep(length).await;
        server.server().resume();
    };
    let marks = (0..100).map(|number| async move {
        let id = format!("evt_{number}");
        let marked = log.try_mark_processed(&id).await;
        (id, marked)
    });
    let ((), marks) = tokio::join!(stall, join_all(marks));
    marks
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_stall_shorter_than_the_deadline_is_waited_for() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    for (id, marked) in marks_during_a_stall(&server, &log, Duration::from_secs(6)).await {
        assert!(marked.is_ok_and(|is_first| is_first), "{id}");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn no_event_is_lost_after_a_stall_longer_than_the_deadline() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let start = Instant::now();
    let marks = marks_during_a_stall(&server, &log, Duration::from_secs(13)).await;
    assert!(start.elapsed() >= DEADLINE);
    for (id, marked) in marks {
        assert!(marked.is_err(), "{id}");
        assert!(log.try_mark_processed(&id).await.unwrap(), "{id} was answered with an error, and is lost");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_call_fails_at_its_deadline_and_not_earlier() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    server.server().pause();
    let start = Instant::now();
    assert!(log.try_mark_processed("evt_1").await.is_err());
    let took = start.elapsed();
    // With room for a busy machine.
    assert!((DEADLINE.mul_f32(0.9)..DEADLINE * 2).contains(&took), "{took:?}");
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_failed_claim_does_not_hold_its_event_after_a_stall() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    // From now on, the server knows the script.
    acquire(&log, "known", LEASE).await;
    server.server().pause();
    let event = EventRef::new("evt_1").unwrap();
    let failed = log.claim(event, Owner::random().unwrap(), LEASE).await;
    server.server().resume();
    assert!(failed.is_err());
    let claimed = log.claim(event, Owner::random().unwrap(), LEASE).await.unwrap();
    assert!(matches!(claimed, ClaimOutcome::Acquired { .. }), "{claimed:?}");
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_dropped_mark_is_taken_back() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    server.server().pause();
    let hung_up = tokio::time::timeout(Duration::from_millis(100), log.try_mark_processed("evt_1")).await;
    assert!(hung_up.is_err());
    server.server().resume();
    until("the mark is gone", || async { server.tell::<usize>("DBSIZE").await == 1 }).await;
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}
