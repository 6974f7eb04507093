//! The fields of an event's hash, and the names of keys.

use std::collections::HashMap;
use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, Ownership, ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::Redis;
use redis::AsyncCommands;

use super::{LEASE, acquire, claim};

type Fields = HashMap<String, Vec<u8>>;

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_mark_is_the_documented_hash_with_its_type() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let event = EventRef::new("evt_1").unwrap().with_type("invoice.paid");
    assert!(log.try_mark_event(event).await.unwrap());
    let fields: Fields = server.tell("HGETALL stripe_processed_events:evt_1").await;
    assert_eq!(fields["state"], b"1");
    assert_eq!(fields["fencing_token"], b"0");
    assert_eq!(fields["type"], b"invoice.paid");
    assert_eq!(fields["owner"].len(), 16);
    assert_eq!(fields.len(), 4);
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_type_of_a_megabyte_takes_no_megabyte() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let kind = "x".repeat(1 << 20);
    let event = |id| EventRef::new(id).unwrap().with_type(&*kind);
    assert!(log.try_mark_event(event("evt_1")).await.unwrap());
    log.claim(event("evt_2"), Owner::random().unwrap(), LEASE).await.unwrap();
    for id in ["evt_1", "evt_2"] {
        let kept: usize = server.tell(&format!("HSTRLEN stripe_processed_events:{id} type")).await;
        assert_eq!(kept, 255, "{id}");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_claim_is_the_documented_hash_until_it_is_settled() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let held = acquire(&log, "evt_1", LEASE).await;
    let fields: Fields = server.tell("HGETALL stripe_processed_events:evt_1").await;
    assert_eq!((&fields["state"][..], &fields["fencing_token"][..]), (&b"0"[..], &b"1"[..]));
    assert_eq!(fields["owner"], held.owner.as_bytes());
    let (seconds, _): (u64, u64) = server.tell("TIME").await;
    let lease_until: u64 = String::from_utf8(fields["lease_until"].clone()).unwrap().parse().unwrap();
    assert!((seconds + 50..=seconds + 61).contains(&(lease_until / 1000)), "{lease_until}");

    assert!(log.release("evt_1", held).await.unwrap());
    assert!(log.release("evt_1", held).await.unwrap(), "its first reply may have been lost");
    let fields: Fields = server.tell("HGETALL stripe_processed_events:evt_1").await;
    assert_eq!((&fields["state"][..], fields.get("lease_until")), (&b"2"[..], None));

    let second = acquire(&log, "evt_1", LEASE).await;
    assert_eq!(second.token, 2);
    assert!(log.complete("evt_1", second).await.unwrap());
    assert!(log.complete("evt_1", second).await.unwrap());
    let state: String = server.tell("HGET stripe_processed_events:evt_1 state").await;
    assert_eq!(state, "1");
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn ids_are_names_byte_for_byte() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let ids =
        ["e", "E", "é", "e\u{301}", "e ", " e", "*", "?", "[e]", "{e}", "e\r\n", "\u{1}", "e:e", "\"e'"];
    for id in ids {
        assert!(log.try_mark_processed(id).await.unwrap(), "{id:?}");
    }
    for id in ids {
        assert!(!log.try_mark_processed(id).await.unwrap(), "{id:?}");
    }
    assert_eq!(server.tell::<usize>("DBSIZE").await, ids.len());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_prefix_is_any_bytes_and_separates_logs() {
    let server = Redis::start().await;
    let mut connection = server.connection().await;
    let log = RedisLog::new(connection.clone()).with_key_prefix(b"\xff\0*".to_vec());
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(RedisLog::new(connection.clone()).try_mark_processed("evt_1").await.unwrap());
    assert!(connection.exists::<_, bool>(b"\xff\0*evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn one_event_keeps_its_meaning_when_the_guarantee_changes() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("marked").await.unwrap());
    assert_eq!(claim(&log, "marked").await, ClaimOutcome::Processed);

    let held = acquire(&log, "claimed", LEASE).await;
    assert!(!log.try_mark_processed("claimed").await.unwrap());
    assert!(log.release("claimed", held).await.unwrap());
    assert!(!log.try_mark_processed("claimed").await.unwrap(), "what was released was seen");
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_hash_of_the_applications_own_counts_as_processed() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let _: usize = server.tell("HSET stripe_processed_events:evt_1 seen yes").await;
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(claim(&log, "evt_1").await, ClaimOutcome::Processed);
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn after_a_takeover_the_old_claim_changes_nothing() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let zombie = acquire(&log, "evt_1", Duration::ZERO).await;
    let held = acquire(&log, "evt_1", LEASE).await;
    assert_eq!(held.token, zombie.token + 1);
    assert!(!log.renew("evt_1", zombie, LEASE).await.unwrap());
    assert!(!log.complete("evt_1", zombie).await.unwrap());
    assert!(!log.release("evt_1", zombie).await.unwrap());
    let ClaimOutcome::InProgress { retry_after } = claim(&log, "evt_1").await else { panic!() };
    assert!(retry_after <= LEASE && retry_after > LEASE / 2, "{retry_after:?}");
    assert!(log.renew("evt_1", held, LEASE * 2).await.unwrap());
    let ClaimOutcome::InProgress { retry_after } = claim(&log, "evt_1").await else { panic!() };
    assert!(retry_after > LEASE, "{retry_after:?}");
    let again = log.claim(EventRef::new("evt_1").unwrap(), held.owner, LEASE).await.unwrap();
    assert_eq!(again, ClaimOutcome::Acquired { token: held.token });
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_claim_is_held_by_the_pair_of_owner_and_fence() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    let held = acquire(&log, "evt_1", LEASE).await;
    let other_token = Ownership { token: held.token + 1, ..held };
    let other_owner = Ownership { owner: Owner::random().unwrap(), ..held };
    for other in [other_token, other_owner] {
        assert!(!log.renew("evt_1", other, LEASE).await.unwrap());
        assert!(!log.release("evt_1", other).await.unwrap());
        assert!(!log.complete("evt_1", other).await.unwrap());
    }
    assert!(log.renew("evt_1", held, LEASE).await.unwrap());
    assert!(!log.renew("never claimed", held, LEASE).await.unwrap());
    assert!(!log.complete("never claimed", held).await.unwrap());
}
