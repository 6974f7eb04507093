//! How long an event is remembered.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, ProcessedEventLog, RETENTION, RedisLog};
use ferro_idem_tests::servers::{Redis, until};

use super::{LEASE, acquire, claim};

/// Below zero, for the server, where there is no key or it never expires.
async fn time_to_live(server: &Redis, id: &str) -> Duration {
    let left: i64 = server.tell(&format!("PTTL stripe_processed_events:{id}")).await;
    Duration::from_millis(left.try_into().expect("a key that expires"))
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn an_event_is_remembered_for_35_days_after_its_last_change() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let about = RETENTION.checked_sub(Duration::from_secs(30)).unwrap()..=RETENTION;
    assert!(log.try_mark_processed("marked").await.unwrap());
    assert!(about.contains(&time_to_live(&server, "marked").await));

    let held = acquire(&log, "claimed", LEASE).await;
    assert!(about.contains(&time_to_live(&server, "claimed").await));
    for step in ["renew", "release", "complete"] {
        let held = if step == "complete" { acquire(&log, "claimed", LEASE).await } else { held };
        let _: bool = server.tell("PERSIST stripe_processed_events:claimed").await;
        let changed = match step {
            "renew" => log.renew("claimed", held, LEASE).await,
            "release" => log.release("claimed", held).await,
            _ => log.complete("claimed", held).await,
        };
        assert!(changed.unwrap(), "{step}");
        let left = time_to_live(&server, "claimed").await;
        assert!(about.contains(&left), "{step}: {left:?}");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn after_the_retention_an_event_is_new() {
    let server = Redis::start().await;
    // Long enough for a busy machine to deliver twice.
    let log = RedisLog::new(server.connection().await).with_retention(Duration::from_secs(5));
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    until("the event is new", || async { log.try_mark_processed("evt_1").await.unwrap() }).await;
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn no_retention_is_so_short_that_a_mark_is_gone_at_once() {
    let server = Redis::start().await;
    for retention in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(1)] {
        let log = RedisLog::new(server.connection().await).with_retention(retention);
        let remembered_for = async |number: u32| {
            let id = format!("marked_{retention:?}_{number}");
            let (seconds, microseconds): (i64, i64) = server.tell("TIME").await;
            assert!(log.try_mark_processed(&id).await.unwrap());
            let until: i64 = server.tell(&format!("PEXPIRETIME stripe_processed_events:{id}")).await;
            // A busy machine may look after the second is over.
            (until > 0).then_some(until - seconds * 1_000 - microseconds / 1_000)
        };
        let mut number = 0;
        let milliseconds = loop {
            number += 1;
            if let Some(milliseconds) = remembered_for(number).await {
                break milliseconds;
            }
        };
        assert!(milliseconds >= 1_000, "{retention:?}: {milliseconds} ms");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_live_claim_does_not_expire_with_a_shorter_retention() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await).with_retention(Duration::from_millis(1));
    let held = acquire(&log, "evt_1", LEASE).await;
    assert!(time_to_live(&server, "evt_1").await > LEASE / 2);
    assert!(log.renew("evt_1", held, LEASE * 2).await.unwrap());
    assert!(time_to_live(&server, "evt_1").await > LEASE);
    assert!(matches!(claim(&log, "evt_1").await, ClaimOutcome::InProgress { .. }));
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn the_longest_durations_are_taken() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await).with_retention(Duration::MAX);
    assert!(log.try_mark_processed("marked").await.unwrap());
    let held = acquire(&log, "claimed", Duration::MAX).await;
    assert!(log.renew("claimed", held, Duration::MAX).await.unwrap());
    assert!(log.complete("claimed", held).await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn the_time_to_wait_is_never_longer_than_the_lease() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    // In most rounds, all three claims are made in one millisecond of the server.
    for round in 0..300 {
        let id = format!("evt_{round}");
        let event = EventRef::new(&id).unwrap();
        let owner = Owner::random().unwrap();
        for _ in 0..2 {
            log.claim(event, owner, LEASE).await.unwrap();
        }
        let other = log.claim(event, Owner::random().unwrap(), LEASE).await.unwrap();
        let ClaimOutcome::InProgress { retry_after } = other else { panic!("{other:?}") };
        assert!(!retry_after.is_zero() && retry_after <= LEASE, "{retry_after:?}");
    }
}
