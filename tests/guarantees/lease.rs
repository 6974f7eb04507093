//! The lease is renewed while the body runs, and lost if it cannot be renewed. The memory log uses tokio's
//! clock, so these tests do not wait.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MIN_LEASE, MemoryProcessedLog, Outcome, Owner, Ownership,
    idempotent_webhook,
};
use ferro_idem_tests::{DropCounter, broken, drop_after_polls};
use futures_util::poll;
use tokio::time::{Instant, advance, sleep};

const LEASE: Duration = Duration::from_secs(30);

#[idempotent_webhook(claim(c, lease = LEASE))]
async fn work<L: ClaimLog>(
    log: &L,
    event: &str,
    time: Duration,
    body: DropCounter,
) -> Result<Outcome<u64>, Error> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
        assert!(c.lease_remaining() > LEASE / 3, "renewed well before it ends");
    }
    drop(body);
    Ok(Outcome::Processed(c.attempt()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_outlives_its_lease_many_times_over_keeps_it() {
    let log = MemoryProcessedLog::new();
    let meanwhile = async {
        for _ in 0..20 {
            sleep(LEASE / 2 + Duration::from_secs(1)).await;
            let second = work(&log, "evt_1", Duration::ZERO, DropCounter::default()).await;
            assert!(matches!(second, Err(Error::InProgress { .. })), "{second:?}");
        }
    };
    let (first, ()) = tokio::join!(work(&log, "evt_1", LEASE * 20, DropCounter::default()), meanwhile);
    assert_eq!(first.unwrap(), Outcome::Processed(1));
}

/// A memory log whose renewals fail.
#[derive(Clone)]
struct Faulty {
    log: MemoryProcessedLog,
    renewal: Renewal,
}

#[derive(Clone, Copy)]
enum Renewal {
    Hangs,
    Fails,
    IsRefused,
}

#[async_trait]
impl ClaimLog for Faulty {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.log.claim(event, owner, lease).await
    }

    async fn renew(&self, _: &str, _: Ownership, _: Duration) -> Result<bool, Error> {
        match self.renewal {
            Renewal::Hangs => std::future::pending().await,
            Renewal::Fails => Err(broken()),
            Renewal::IsRefused => Ok(false),
        }
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.complete(event_id, held).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.release(event_id, held).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

#[idempotent_webhook(claim(c, lease = LEASE))]
async fn never_ends<L: ClaimLog>(log: &L, event: &str, body: DropCounter) -> Result<Outcome<u64>, Error> {
    std::future::pending::<()>().await;
    drop(body);
    Ok(Outcome::Processed(c.attempt()))
}

#[tokio::test(start_paused = true)]
async fn without_a_renewal_the_body_ends_before_another_may_run() {
    for (renewal, latest) in
        [(Renewal::Hangs, LEASE), (Renewal::Fails, LEASE), (Renewal::IsRefused, LEASE / 2)]
    {
        let log = Faulty { log: MemoryProcessedLog::new(), renewal };
        let (body, start) = (DropCounter::default(), Instant::now());
        let lost = never_ends(&log, "evt_1", body.clone()).await;
        assert!(matches!(lost, Err(Error::LeaseLost { .. })), "{lost:?}");
        assert_eq!(body.drops(), 1);
        assert!(start.elapsed() <= latest, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_paused_past_its_lease_changes_nothing() {
    let log = MemoryProcessedLog::new();
    let body = DropCounter::default();
    let mut stalled = pin!(work(&log, "evt_1", LEASE, body.clone()));
    assert!(poll!(stalled.as_mut()).is_pending());
    // The future is not polled, as after SIGSTOP, so nothing is renewed.
    advance(LEASE + Duration::from_secs(1)).await;
    let next = work(&log, "evt_1", Duration::ZERO, DropCounter::default()).await.unwrap();
    assert_eq!(next, Outcome::Processed(2), "taken over under a higher fence");
    let late = stalled.await;
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "{late:?}");
    assert_eq!(body.drops(), 1);
    let after = work(&log, "evt_1", Duration::ZERO, DropCounter::default()).await.unwrap();
    assert_eq!(after, Outcome::Duplicate, "the zombie has not released what the other completed");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_costs_no_lease() {
    /// Fails every other renewal.
    #[derive(Clone)]
    struct Flaky(MemoryProcessedLog, Arc<std::sync::atomic::AtomicUsize>);
    #[async_trait]
    impl ClaimLog for Flaky {
        async fn claim(
            &self,
            event: EventRef<'_>,
            owner: Owner,
            lease: Duration,
        ) -> Result<ClaimOutcome, Error> {
            self.0.claim(event, owner, lease).await
        }
        async fn renew(&self, id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
            if self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(2) {
                return Err(broken());
            }
            self.0.renew(id, held, lease).await
        }
        async fn complete(&self, id: &str, held: Ownership) -> Result<bool, Error> {
            self.0.complete(id, held).await
        }
        async fn release(&self, id: &str, held: Ownership) -> Result<bool, Error> {
            self.0.release(id, held).await
        }
        fn handle(&self) -> Arc<dyn ClaimLog> {
            Arc::new(self.clone())
        }
    }
    let log = Flaky(MemoryProcessedLog::new(), Arc::default());
    let done = work(&log, "evt_1", LEASE * 5, DropCounter::default()).await;
    assert_eq!(done.unwrap(), Outcome::Processed(1));
    let asked = log.1.load(std::sync::atomic::Ordering::SeqCst);
    // A failing renewal comes 10 s after each renewal, and the next one 3 s after that.
    assert_eq!(asked, 2 * 11, "a third of the lease behind a renewal, a tenth of it behind a failure");
}

#[tokio::test]
async fn a_lease_too_short_to_renew_claims_nothing() {
    #[idempotent_webhook(claim(c, lease = lease * 1))]
    async fn short(log: &MemoryProcessedLog, event: &str, lease: Duration) -> Result<Outcome<u64>, Error> {
        Ok(Outcome::Processed(c.attempt()))
    }
    let log = MemoryProcessedLog::new();
    for lease in [Duration::ZERO, MIN_LEASE.checked_sub(Duration::from_nanos(1)).unwrap()] {
        let refused = short(&log, "evt_1", lease).await;
        assert!(matches!(refused, Err(Error::LeaseTooShort { .. })), "{refused:?}");
    }
    assert_eq!(short(&log, "evt_1", MIN_LEASE).await.unwrap(), Outcome::Processed(1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_for_ever_is_a_lease() {
    #[idempotent_webhook(claim(c, lease = Duration::MAX))]
    async fn long(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u64>, Error> {
        sleep(Duration::from_hours(24)).await;
        assert!(c.lease_remaining() > Duration::from_hours(24));
        Ok(Outcome::Processed(c.attempt()))
    }
    assert_eq!(long(&MemoryProcessedLog::new(), "evt_1").await.unwrap(), Outcome::Processed(1));
}

#[test]
fn without_a_runtime_a_dropped_claim_ends_with_its_lease() {
    let log = MemoryProcessedLog::new();
    let on_another_executor = |polls, event: &'static str| {
        let call = never_ends(&log, event, DropCounter::default());
        futures_util::FutureExt::now_or_never(drop_after_polls(call, polls)).unwrap()
    };
    assert!(on_another_executor(1, "evt_1").is_none());
    let second = on_another_executor(1, "evt_1").unwrap();
    assert!(matches!(second, Err(Error::InProgress { .. })), "{second:?}");
}

/// A memory log that answers claims late.
#[derive(Clone)]
struct Late {
    log: MemoryProcessedLog,
    /// The time of each claim. The last value is used for all further claims.
    answers_after: Arc<Mutex<Vec<Duration>>>,
}

#[async_trait]
impl ClaimLog for Late {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        let outcome = self.log.claim(event, owner, lease).await;
        let late = {
            let mut answers_after = self.answers_after.lock().unwrap();
            if answers_after.len() > 1 { answers_after.remove(0) } else { answers_after[0] }
        };
        sleep(late).await;
        outcome
    }

    async fn renew(&self, id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.log.renew(id, held, lease).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.complete(event_id, held).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.release(event_id, held).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn no_body_begins_with_a_lease_that_the_claim_itself_used_up() {
    #[idempotent_webhook(claim(c, lease = LEASE))]
    async fn begin(log: &Late, event: &str, begun: &DropCounter) -> Result<Outcome<u64>, Error> {
        drop(begun.clone());
        assert!(c.lease_remaining() > LEASE / 2);
        Ok(Outcome::Processed(c.attempt()))
    }
    let slow = |answers_after: &[Duration]| Late {
        log: MemoryProcessedLog::new(),
        answers_after: Arc::new(Mutex::new(answers_after.to_vec())),
    };
    let begun = DropCounter::default();

    for late in [LEASE * 3, LEASE, LEASE / 2] {
        let once = slow(&[late, Duration::ZERO]);
        assert_eq!(begin(&once, "evt_1", &begun).await.unwrap(), Outcome::Processed(1), "it claims again");
    }
    assert_eq!(begun.drops(), 3);

    let always = slow(&[LEASE * 3]);
    let refused = begin(&always, "evt_1", &begun).await;
    assert!(matches!(refused, Err(Error::LeaseLost { .. })), "{refused:?}");
    assert_eq!(begun.drops(), 3, "the body did not begin");
    let prompt = slow(&[Duration::ZERO]);
    assert_eq!(begin(&prompt, "evt_2", &begun).await.unwrap(), Outcome::Processed(1));
    let outcome = always.log.claim(EventRef::new("evt_1").unwrap(), Owner::random().unwrap(), LEASE).await;
    assert_eq!(outcome.unwrap(), ClaimOutcome::Acquired { token: 2 }, "and the event is free");
}
