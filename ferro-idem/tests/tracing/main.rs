//! What each delivery tells `tracing`: in the package of the feature, so that nothing else is tested
//! with it on by accident.

mod failures;
mod lines;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use ferro_idem::{
    ClaimLog, Detached, Error, EventRef, MarkOutcome, MemoryProcessedLog, Outcome, Owner, TransactionalLog,
    WebhookEvent, idempotent_webhook,
};
use lines::{Lines, assert_tells};

/// Its id, and what must not be logged.
struct Paid(&'static str, String);

/// An event whose sender puts all it has into the type.
struct LongType(String);

impl WebhookEvent for LongType {
    fn event_id(&self) -> &'static str {
        "evt_1"
    }

    fn event_type(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl WebhookEvent for Paid {
    fn event_id(&self) -> &str {
        self.0
    }

    fn event_type(&self) -> Option<&str> {
        Some("invoice.paid")
    }
}

fn paid(id: &'static str) -> Paid {
    Paid(id, "canary".to_owned())
}

#[idempotent_webhook]
async fn fenced(log: &MemoryProcessedLog, event: Paid) -> Result<(), Error> {
    drop(event.1);
    Ok(())
}

#[idempotent_webhook(claim(c, lease = Duration::from_secs(30)))]
async fn claimed(log: &MemoryProcessedLog, event: Paid, how: &str) -> Result<Outcome<u64>, Error> {
    tracing::info!("in the body");
    drop(event.1);
    match how {
        "fail" => Err(Error::store("refund", std::io::Error::other("no"))),
        "panic" => panic!("in the body"),
        "hang" => std::future::pending().await,
        _ => Ok(Outcome::Processed(c.attempt())),
    }
}

#[tokio::test(start_paused = true)]
async fn each_delivery_has_a_span_and_events() {
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record();

    fenced(&log, paid("evt_1")).await.unwrap();
    let who = ["delivery{", "event_id=\"evt_1\"", "event_type=\"invoice.paid\"", "guarantee=\"fence\""];
    let first = lines.take();
    assert_tells(&first, &who);
    assert_tells(&first, &["DEBUG", "first", "attempt=1", "handler=tracing::fenced"]);
    fenced(&log, paid("evt_1")).await.unwrap();
    assert_tells(&lines.take(), &["duplicate", "duration_us="]);
    assert!(fenced(&log, paid("")).await.is_err());
    assert_tells(&lines.take(), &["failed", "it has no id"]);

    assert!(claimed(&log, paid("evt_2"), "fail").await.is_err());
    let failed = lines.take();
    assert_tells(
        &failed,
        &[
            "WARN",
            "guarantee=\"claim\"",
            "in the body",
            "released",
            "was not a success",
            "event_id=evt_2",
            "could not refund: ",
        ],
    );
    assert!(claimed(&log, paid("evt_2"), "").await.is_ok());
    assert_tells(&lines.take(), &["retry", "attempt=2", "processed"]);
    let panics = AssertUnwindSafe(claimed(&log, paid("evt_3"), "panic"));
    assert!(futures_util::FutureExt::catch_unwind(panics).await.is_err());
    assert_tells(&lines.take(), &["released", "the handler panicked"]);

    let owner = Owner::random().unwrap();
    log.claim(EventRef::new("evt_4").unwrap(), owner, Duration::from_secs(9)).await.unwrap();
    assert!(claimed(&log, paid("evt_4"), "").await.is_err());
    assert_tells(&lines.take(), &["in progress", "retry_after_ms=9000"]);
}

#[cfg(feature = "replay")]
#[idempotent_webhook(claim, replay, fingerprint = body, keep = keep)]
async fn replaying(
    log: &MemoryProcessedLog,
    event: Paid,
    body: &str,
    keep: Duration,
) -> Result<String, Error> {
    Ok(if body == "large" { "canary".repeat(1 << 20) } else { event.1 })
}

/// An operator sees why a client got no reply, and never the reply.
#[cfg(feature = "replay")]
#[tokio::test]
async fn a_replay_tells_what_its_client_got() {
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record();
    let day = ferro_idem::replay::KEEP;
    assert_eq!(replaying(&log, paid("evt_1"), "pay", day).await.unwrap(), "canary");
    assert_tells(&lines.take(), &["first", "processed"]);
    assert_eq!(replaying(&log, paid("evt_1"), "pay", day).await.unwrap(), "canary");
    let replayed = lines.take();
    assert_tells(&replayed, &["INFO", "event_id=\"evt_1\"", "duplicate duration_us="]);
    assert!(!replayed.contains("first"), "{replayed}");
    assert!(replaying(&log, paid("evt_1"), "pay more", day).await.is_err());
    assert_tells(&lines.take(), &["WARN", "failed", "the idempotency key was used for another request"]);

    replaying(&log, paid("evt_2"), "pay", Duration::ZERO).await.unwrap();
    lines.take();
    assert!(replaying(&log, paid("evt_2"), "pay", Duration::ZERO).await.is_err());
    assert_tells(&lines.take(), &["INFO", "duplicate, and no reply is kept"]);

    assert!(replaying(&log, paid("evt_3"), "large", day).await.is_err());
    assert_tells(&lines.take(), &["WARN", "released", "cannot be kept for replay", "larger than"]);
}

#[tokio::test]
async fn no_type_is_longer_in_a_log_than_in_a_table() {
    #[idempotent_webhook]
    async fn handle(log: &MemoryProcessedLog, event: LongType) -> Result<(), Error> {
        drop(event);
        Ok(())
    }
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record();
    handle(&log, LongType("x".repeat(1 << 20))).await.unwrap();
    let told = lines.take();
    assert_tells(&told, &["event_type=\"xxx", "first"]);
    assert!(told.len() < 1_000, "{} bytes of log", told.len());
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_told() {
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record();
    let mut stalled = std::pin::pin!(claimed(&log, paid("evt_1"), "hang"));
    assert!(futures_util::poll!(stalled.as_mut()).is_pending());
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(matches!(stalled.await, Err(Error::LeaseLost { .. })));
    assert_tells(&lines.take(), &["lease lost", "event_id=\"evt_1\"", "attempt=1", "not renewed in time"]);
}

/// An operator frees the event while its body runs.
#[idempotent_webhook(claim)]
async fn released_by_hand(log: &MemoryProcessedLog, event: Paid) -> Result<(), Error> {
    let operations = log.operations();
    let seen = operations.look(event.0).await?.expect("it is claimed");
    assert!(operations.release(&seen).await?.is_done());
    Ok(())
}

#[tokio::test]
async fn a_claim_that_the_log_no_longer_has_is_told() {
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record();
    assert!(matches!(released_by_hand(&log, paid("evt_1")).await, Err(Error::LeaseLost { .. })));
    let lost = "the log no longer has this claim: another delivery took it over, or it was settled by hand";
    assert_tells(&lines.take(), &["lease lost", "event_id=\"evt_1\"", lost]);
}

/// Each event is first, in transactions that hold nothing.
struct AllFirst;

impl TransactionalLog for AllFirst {
    type Transaction = Box<()>;

    fn begin(&self) -> Detached<Box<()>> {
        Box::pin(async { Ok(Box::new(())) })
    }

    async fn try_mark_in(&self, _: &mut Box<()>, _: EventRef<'_>) -> Result<MarkOutcome, Error> {
        Ok(MarkOutcome::First)
    }

    fn commit(_: Box<()>) -> Detached<()> {
        Box::pin(async { Ok(()) })
    }

    fn rollback(_: Box<()>) -> Detached<()> {
        Box::pin(async { Ok(()) })
    }
}

#[idempotent_webhook(transaction(tx))]
async fn transacted(log: &AllFirst, event: Paid, how: &str) -> Result<(), Error> {
    let () = *tx;
    drop(event.1);
    match how {
        "fail" => Err(Error::store("pay", std::io::Error::other("no"))),
        "hang" => std::future::pending().await,
        _ => Ok(()),
    }
}

#[tokio::test]
async fn how_a_transaction_ends_is_told_once() {
    let lines = Lines::default();
    let _recording = lines.record();
    transacted(&AllFirst, paid("evt_1"), "").await.unwrap();
    let processed = lines.take();
    assert_tells(&processed, &["guarantee=\"transaction\"", "begun", "processed"]);
    assert!(!processed.contains("released") && !processed.contains("attempt"), "{processed}");

    assert!(transacted(&AllFirst, paid("evt_2"), "fail").await.is_err());
    let failed = lines.take();
    assert_tells(&failed, &["released", "was not a success"]);
    assert!(!failed.contains("dropped"), "{failed}");

    let mut hung_up = Box::pin(transacted(&AllFirst, paid("evt_3"), "hang"));
    assert!(futures_util::poll!(&mut hung_up).is_pending());
    drop(hung_up);
    assert_tells(&lines.take(), &["released", "the client hung up"]);
}

#[idempotent_webhook]
async fn ship(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim)]
async fn send_mail(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
    Ok(())
}

struct Shop;
struct Bank;

macro_rules! handles {
    ($type:ty) => {
        impl $type {
            #[idempotent_webhook]
            async fn handle(&self, log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
                Ok(())
            }
        }
    };
}

handles!(Shop);
handles!(Bank);

#[tokio::test]
async fn two_methods_of_one_name_that_share_keys_are_told_apart() {
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record_from(tracing::Level::WARN);
    Shop.handle(&log, "evt_1").await.unwrap();
    Bank.handle(&log, "evt_1").await.unwrap();
    let told = lines.take();
    assert_tells(&told, &["handler=tracing::handle (line ", "other_handler=tracing::handle (line "]);
}

#[tokio::test]
async fn two_handlers_without_a_scope_on_one_log_are_reported_once() {
    let (lines, log) = (Lines::default(), MemoryProcessedLog::new());
    let _recording = lines.record_from(tracing::Level::WARN);
    for event in ["evt_1", "evt_2"] {
        ship(&log, event).await.unwrap();
        ship(&log, event).await.unwrap();
        assert_eq!(lines.take(), "", "a duplicate of its own is nothing to report");
        send_mail(&log.clone(), event).await.unwrap();
        let told = lines.take();
        if event == "evt_1" {
            assert_tells(
                &told,
                &["WARN", "handler=tracing::send_mail", "other_handler=tracing::ship", "`scope`"],
            );
        } else {
            assert_eq!(told, "", "once");
        }
    }
    let other = MemoryProcessedLog::new();
    ship(&other, "evt_3").await.unwrap();
    send_mail(&log, "evt_3").await.unwrap();
    assert_eq!(lines.take(), "", "another log is another key space");
}
