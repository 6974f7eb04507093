//! The claim as the body sees it.

use std::time::Duration;

use ferro_idem::{Claim, DEFAULT_LEASE, Error, MemoryProcessedLog, idempotent_webhook};
use ferro_idem_tests::broken;

#[idempotent_webhook(scope = "billing", claim(c), on_duplicate = Err(broken()))]
async fn read(log: &MemoryProcessedLog, event: &str, seen: &mut Vec<Claim>) -> Result<(), Error> {
    seen.push(c.clone());
    Err(broken())
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_the_same_key_and_a_higher_token() {
    let (log, mut seen) = (MemoryProcessedLog::new(), Vec::new());
    for _ in 0..3 {
        assert!(read(&log, "evt_1", &mut seen).await.is_err());
    }
    assert!(read(&log, "evt_2", &mut seen).await.is_err());
    let [first, second, third, other] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!([first, second, third].map(Claim::attempt), [1, 2, 3]);
    assert_eq!([first, second, third].map(Claim::fencing_token), [1, 2, 3]);
    assert_eq!(first.event_id(), "billing:evt_1");
    assert_eq!(first.lease_remaining(), DEFAULT_LEASE);
    let shown = format!("{first:?}");
    assert_eq!(shown, r#"Claim { event_id: "billing:evt_1", fencing_token: 1, lease_remaining: 60s }"#);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(first.lease_remaining(), Duration::from_secs(40));

    let key = first.idempotency_key("refund");
    assert_eq!(second.idempotency_key("refund"), key);
    assert_eq!(third.idempotency_key("refund"), key);
    assert_ne!(first.idempotency_key("mail"), key);
    assert_ne!(other.idempotency_key("refund"), key);
    assert!(key.len() <= 255 && key.bytes().all(|byte| byte.is_ascii_graphic()), "a header's value: {key}");
    assert!(!key.contains("evt_1"));
    // The key is a constant here, because a key that changes with a release of this crate would refund twice.
    assert_eq!(key, "adbaf0cf67af8fdbbd9baf55a389d5f6829d06dccf2cb0ce2e101d89df31d732");
}

#[tokio::test]
async fn keys_do_not_collide_where_event_and_name_meet() {
    #[idempotent_webhook(claim(c))]
    async fn key_of(
        log: &MemoryProcessedLog,
        event: &str,
        name: &str,
        key: &mut String,
    ) -> Result<(), Error> {
        *key = c.idempotency_key(name);
        Ok(())
    }
    let (log, mut a, mut b) = (MemoryProcessedLog::new(), String::new(), String::new());
    key_of(&log, "evt_1", "1refund", &mut a).await.unwrap();
    key_of(&log, "evt_11", "refund", &mut b).await.unwrap();
    assert_ne!(a, b);
}
