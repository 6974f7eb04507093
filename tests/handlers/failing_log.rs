//! `FailingLog`: the call that a test names fails, before or after its effect, under each guarantee.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferro_idem::conformance::Store;
use ferro_idem::testing::{FailingLog, Fails, HandlerTest, Step, check};
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MemoryProcessedLog, Owner, Ownership, ProcessedEventLog,
    SqliteLog, TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::{create_effects, drop_after_polls, effects, effects_of, open_sqlite, write_effect};
use sqlx::SqliteConnection;
use tempfile::TempDir;
use tokio::task::yield_now;

const BOTH: [Fails; 2] = [Fails::BeforeEffect, Fails::AfterEffect];

/// How often a body ran.
#[derive(Default)]
struct Runs(AtomicUsize);

impl Runs {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

#[idempotent_webhook]
async fn fenced<L: ProcessedEventLog + ?Sized>(log: &L, event: &str, runs: &Runs) -> Result<(), Error> {
    runs.count();
    Ok(())
}

#[idempotent_webhook(claim(_c))]
async fn claimed<L: ClaimLog>(log: L, event: &str, runs: &Runs, fails: bool) -> Result<(), Error> {
    runs.count();
    yield_now().await;
    if fails { Err(Error::in_progress(event, Duration::ZERO)) } else { Ok(()) }
}

#[idempotent_webhook(transaction(tx))]
async fn pays(log: &FailingLog<SqliteLog>, event: &str, fails: bool) -> Result<(), Error> {
    write_effect(tx, event).await?;
    if fails { Err(Error::in_progress(event, Duration::ZERO)) } else { Ok(()) }
}

/// A handler that is generic over its transactional log, and writes nothing.
#[idempotent_webhook(transaction(_tx))]
async fn generic<L: TransactionalLog>(log: &L, event: &str, runs: &Runs) -> Result<(), Error> {
    runs.count();
    Ok(())
}

fn memory() -> FailingLog<MemoryProcessedLog> {
    FailingLog::new(MemoryProcessedLog::new())
}

#[tokio::test]
async fn a_fence_fails_before_or_after_its_mark() {
    let (log, runs) = (memory(), Runs::default());
    for (fails, later) in [(Fails::BeforeEffect, 1), (Fails::AfterEffect, 0)] {
        let event = format!("{fails:?}");
        log.fail_next(Step::Mark, fails);
        let error = fenced(&log, &event, &runs).await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }) && error.is_retryable(), "{error}");
        assert_eq!(runs.take(), 0, "{event}: the body ran without a mark");
        fenced(&log, &event, &runs).await.unwrap();
        assert_eq!(runs.take(), later, "{event}");
    }
    assert!(log.unused().is_empty());
}

#[tokio::test]
async fn a_claim_fails_before_or_after_its_effect() {
    let (log, runs) = (memory(), Runs::default());
    for fails in BOTH {
        let event = format!("{fails:?}");
        log.fail_next(Step::Claim, fails);
        claimed(&log, &event, &runs, false).await.unwrap_err();
        assert_eq!(runs.take(), 0, "{event}");
        let is_claimed = matches!(
            log.claim(EventRef::new(&event).unwrap(), Owner::random().unwrap(), Duration::from_secs(1)).await,
            Ok(ClaimOutcome::InProgress { .. })
        );
        assert_eq!(is_claimed, fails == Fails::AfterEffect, "{event}");
    }
}

#[tokio::test]
async fn a_completion_fails_before_or_after_its_effect() {
    let (log, runs) = (memory(), Runs::default());
    for (fails, later) in [(Fails::BeforeEffect, Err(409)), (Fails::AfterEffect, Ok(()))] {
        let event = format!("{fails:?}");
        log.fail_next(Step::Complete, fails);
        claimed(&log, &event, &runs, false).await.unwrap_err();
        assert_eq!(runs.take(), 1, "{event}");
        let again = claimed(&log, &event, &runs, false).await.map_err(|error| error.status());
        assert_eq!((again, runs.take()), (later, 0), "{event}");
    }
}

#[tokio::test]
async fn a_release_fails_before_or_after_its_effect() {
    let (log, runs) = (memory(), Runs::default());
    for (fails, later) in [(Fails::BeforeEffect, Err(409)), (Fails::AfterEffect, Ok(()))] {
        let event = format!("{fails:?}");
        log.fail_next(Step::Release, fails);
        claimed(&log, &event, &runs, true).await.unwrap_err();
        assert_eq!(runs.take(), 1, "{event}");
        let again = claimed(&log, &event, &runs, false).await.map_err(|error| error.status());
        assert_eq!((again, runs.take()), (later, usize::from(later.is_ok())), "{event}");
    }
}

#[tokio::test]
async fn a_renewal_and_a_withdrawal_fail_as_told() {
    let lease = Duration::from_mins(1);
    for fails in BOTH {
        let log = memory();
        let (event, owner) = (EventRef::new("evt_1").unwrap(), Owner::random().unwrap());
        let ClaimOutcome::Acquired { token } = log.claim(event, owner, lease).await.unwrap() else {
            panic!("the event is new")
        };
        let held = Ownership { owner, token };
        log.fail_next(Step::Renew, fails);
        log.renew("evt_1", held, lease).await.unwrap_err();
        assert!(log.renew("evt_1", held, lease).await.unwrap());
        log.fail_next(Step::Withdraw, fails);
        log.withdraw("evt_1", held).await.unwrap_err();
        let is_withdrawn = !log.complete("evt_1", held).await.unwrap();
        assert_eq!(is_withdrawn, fails == Fails::AfterEffect);
    }
}

/// A delivery that is dropped is finished in the background, through a handle of the log.
#[tokio::test]
async fn handles_fail_like_their_log() {
    let (log, runs) = (memory(), Runs::default());
    log.fail_every(Step::Release, Fails::BeforeEffect);
    drop(drop_after_polls(claimed(&log, "evt_1", &runs, false), 1).await);
    while !log.calls().contains(&Step::Release) {
        yield_now().await;
    }
    assert_eq!(
        claimed(&log, "evt_1", &runs, false).await.unwrap_err().status(),
        409,
        "released all the same"
    );
}

#[tokio::test]
async fn a_transaction_fails_before_or_after_each_step() {
    let folder = TempDir::new().unwrap();
    let log = FailingLog::new(open_sqlite(folder.path(), 2).await);
    create_effects(log.inner()).await;
    for step in [Step::Begin, Step::MarkInTransaction, Step::Commit, Step::Rollback] {
        for fails in BOTH {
            let event = format!("{step:?} {fails:?}");
            log.fail_next(step, fails);
            pays(&log, &event, step == Step::Rollback).await.unwrap_err();
            assert!(log.unused().is_empty(), "{event}");
            let is_committed = step == Step::Commit && fails == Fails::AfterEffect;
            assert_eq!(effects_of(log.inner(), &event).await, i64::from(is_committed), "{event}");
            ferro_idem_tests::redeliver(async || pays(&log, &event, false).await).await.unwrap();
            assert_eq!(effects_of(log.inner(), &event).await, 1, "{event}");
        }
    }
    assert_eq!(effects(log.inner()).await, 8);
}

#[tokio::test]
async fn calls_fail_in_the_order_that_was_told() {
    let log = memory();
    log.fail_next(Step::Mark, Fails::BeforeEffect);
    log.fail_next(Step::Mark, Fails::AfterEffect);
    log.fail_next(Step::Claim, Fails::BeforeEffect);
    log.try_mark_processed("evt_1").await.unwrap_err();
    assert_eq!(log.unused(), [(Step::Mark, Fails::AfterEffect), (Step::Claim, Fails::BeforeEffect)]);
    log.try_mark_processed("evt_1").await.unwrap_err();
    assert!(!log.try_mark_processed("evt_1").await.unwrap(), "the second call has marked it");
    assert_eq!(log.unused(), [(Step::Claim, Fails::BeforeEffect)]);
    assert_eq!(log.calls(), [Step::Mark; 3]);
}

#[tokio::test]
async fn an_outage_lasts_until_it_is_ended() {
    let log = memory();
    log.fail_every(Step::Mark, Fails::AfterEffect);
    log.fail_every(Step::Mark, Fails::BeforeEffect);
    log.fail_next(Step::Claim, Fails::BeforeEffect);
    for _ in 0..3 {
        log.clone().try_mark_processed("evt_1").await.unwrap_err();
    }
    assert!(log.inner().try_mark_processed("evt_1").await.unwrap(), "the last word on a step holds");
    log.stop_failing();
    assert!(log.unused().is_empty());
    assert!(log.try_mark_processed("evt_2").await.unwrap());
}

#[tokio::test]
async fn pointers_and_generic_handlers_take_a_failing_log() {
    let (runs, folder) = (Runs::default(), TempDir::new().unwrap());
    let log = memory();
    let shared: Arc<dyn ProcessedEventLog> = Arc::new(log.clone());
    log.fail_next(Step::Mark, Fails::BeforeEffect);
    fenced(&*shared, "evt_1", &runs).await.unwrap_err();
    fenced(&shared, "evt_1", &runs).await.unwrap();
    let over_a_pointer = FailingLog::new(Arc::new(MemoryProcessedLog::new()));
    over_a_pointer.fail_next(Step::Complete, Fails::BeforeEffect);
    claimed(Arc::new(over_a_pointer.clone()), "evt_1", &runs, false).await.unwrap_err();
    let sqlite = FailingLog::new(open_sqlite(folder.path(), 2).await);
    sqlite.fail_next(Step::Commit, Fails::BeforeEffect);
    generic(&sqlite, "evt_1", &runs).await.unwrap_err();
    generic(&&sqlite, "evt_1", &runs).await.unwrap();
    assert_eq!(runs.take(), 4);
}

mod replies {
    use super::*;

    #[idempotent_webhook(claim(_c), replay, fingerprint = event)]
    async fn claimed(log: &FailingLog<MemoryProcessedLog>, event: &str, runs: &Runs) -> Result<u64, Error> {
        runs.count();
        Ok(42)
    }

    #[idempotent_webhook(transaction(tx), replay, fingerprint = event)]
    async fn pays(log: &FailingLog<SqliteLog>, event: &str) -> Result<u64, Error> {
        write_effect(tx, event).await?;
        Ok(42)
    }

    #[tokio::test]
    async fn a_reply_under_a_claim_fails_before_or_after_its_effect() {
        let (log, runs) = (memory(), Runs::default());
        log.fail_next(Step::CompleteWithReply, Fails::AfterEffect);
        claimed(&log, "evt_1", &runs).await.unwrap_err();
        log.fail_next(Step::ReadReply, Fails::BeforeEffect);
        claimed(&log, "evt_1", &runs).await.unwrap_err();
        assert_eq!((claimed(&log, "evt_1", &runs).await.unwrap(), runs.take()), (42, 1));
        log.fail_next(Step::CompleteWithReply, Fails::BeforeEffect);
        claimed(&log, "evt_2", &runs).await.unwrap_err();
        assert_eq!(claimed(&log, "evt_2", &runs).await.unwrap_err().status(), 409);
        assert!(log.unused().is_empty());
    }

    #[tokio::test]
    async fn a_reply_in_a_transaction_fails_before_or_after_its_effect() {
        let folder = TempDir::new().unwrap();
        let log = FailingLog::new(open_sqlite(folder.path(), 2).await);
        create_effects(log.inner()).await;
        for fails in BOTH {
            let event = format!("{fails:?}");
            log.fail_next(Step::KeepInTransaction, fails);
            pays(&log, &event).await.unwrap_err();
            assert_eq!(effects_of(log.inner(), &event).await, 0, "{event}");
            for _ in 0..2 {
                assert_eq!(ferro_idem_tests::redeliver(async || pays(&log, &event).await).await.unwrap(), 42);
            }
            assert_eq!(effects_of(log.inner(), &event).await, 1, "{event}");
        }
    }
}

/// The kit tells its own failures beside those of the log.
struct Unlucky {
    log: FailingLog<MemoryProcessedLog>,
    runs: Runs,
}

impl HandlerTest for Unlucky {
    async fn new() -> Self {
        let log = memory();
        log.fail_next(Step::Claim, Fails::BeforeEffect);
        Self { log, runs: Runs::default() }
    }

    async fn deliver(&self) -> bool {
        // The sender delivers again at once.
        for _ in 0..2 {
            if claimed(&self.log, "evt_1", &self.runs, false).await.is_ok() {
                return true;
            }
        }
        false
    }

    async fn effects(&self) -> usize {
        self.runs.0.load(Ordering::SeqCst).min(1)
    }
}

#[test]
fn the_kit_runs_over_a_failing_log() {
    check::<Unlucky>().assert_passed();
}

/// A log that fails in nothing keeps every promise of the one that it wraps.
struct Wrapped(MemoryProcessedLog);

impl Store for Wrapped {
    type Log = FailingLog<MemoryProcessedLog>;

    async fn open(&self) -> Self::Log {
        FailingLog::new(self.0.clone())
    }
}

ferro_idem::conformance::tests! {
    fence, claims, fence_with_claims, replay;
    store = Wrapped(MemoryProcessedLog::new())
}

mod transactions {
    use super::*;

    struct WrappedFile(TempDir);

    impl Store for WrappedFile {
        type Log = FailingLog<SqliteLog>;

        async fn open(&self) -> Self::Log {
            let log = open_sqlite(self.0.path(), 3).await;
            create_effects(&log).await;
            FailingLog::new(log)
        }

        async fn write_effect(&self, lent: &mut SqliteConnection, event_id: &str) {
            write_effect(lent, event_id).await.unwrap();
        }

        async fn effects(&self, log: &Self::Log, event_id: &str) -> Option<u64> {
            Some(effects_of(log.inner(), event_id).await.unsigned_abs())
        }
    }

    ferro_idem::conformance::tests! {
        transactions, replay_in_transactions;
        store = WrappedFile(TempDir::new().unwrap())
    }
}
