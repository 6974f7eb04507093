//! `Claim::attempt()` counts runs of the body.

use std::time::Duration;

use ferro_idem::{Claim, ClaimLog, Error, EventRef, Outcome, Owner, idempotent_webhook};
use ferro_idem_tests::{broken, redeliver};
use futures_util::poll;

use super::stores::sqlite;

#[idempotent_webhook(claim(c))]
async fn handle<L: ClaimLog>(log: &L, event: &str, fails: bool) -> Result<Outcome<(u64, u64)>, Error> {
    if fails { Err(broken()) } else { Ok(Outcome::Processed((c.attempt(), c.fencing_token()))) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hang_ups_while_claiming_are_not_attempts() {
    let store = sqlite().await;
    let [log, other] = &store.handles;
    for hang_ups in 1..=5 {
        // No claim is answered while this transaction has the file's lock.
        let lock = other.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
        let mut delivery = Box::pin(handle(log, "evt_1", false));
        assert!(poll!(&mut delivery).is_pending(), "the claim is on its way");
        drop(delivery);
        lock.rollback().await.unwrap();
        // The claim is carried out and then withdrawn in the background.
        let owner = Owner::random().unwrap();
        let event = EventRef::new("evt_1").unwrap();
        let probe = redeliver(|| async {
            match other.claim(event, owner, Duration::from_mins(1)).await? {
                ferro_idem::ClaimOutcome::Acquired { token } => {
                    assert_eq!(token, 1, "after {hang_ups} hang-ups");
                    other.withdraw("evt_1", ferro_idem::Ownership { owner, token }).await
                }
                _ => Err(Error::in_progress("evt_1", Duration::from_millis(1))),
            }
        });
        assert!(probe.await.unwrap());
    }
    let done = redeliver(|| handle(log, "evt_1", false)).await.unwrap();
    assert_eq!(done, Outcome::Processed((1, 1)));
}

#[tokio::test]
async fn each_run_of_the_body_is_an_attempt() {
    let store = sqlite().await;
    let [log, _] = &store.handles;
    for _ in 0..2 {
        assert!(handle(log, "evt_1", true).await.is_err());
    }
    assert_eq!(handle(log, "evt_1", false).await.unwrap(), Outcome::Processed((3, 3)));
}

#[test]
fn a_claim_for_a_test_is_a_first_attempt_by_default() {
    let claim = Claim::for_test("evt_1");
    assert_eq!((claim.event_id(), claim.attempt(), claim.fencing_token()), ("evt_1", 1, 1));
    assert!(claim.lease_remaining() > Duration::from_secs(30));
    let third = Claim::for_test("evt_1").with_attempt(3);
    assert_eq!((third.attempt(), third.fencing_token()), (3, 3));
    assert_eq!(third.idempotency_key("refund"), claim.idempotency_key("refund"));
}
