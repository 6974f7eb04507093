//! The fence does not change the body's behaviour: rows 10, 13, 15, 16 and 18.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use ferro_idem::{Error, MemoryProcessedLog, Outcome, ProcessedEventLog, idempotent_webhook};
use ferro_idem_tests::{DropCounter, Stalled, drop_after_polls};
use futures_util::FutureExt;

mod returns {
    //! Row 10, where a warning is an error.
    #![deny(warnings)]

    use super::{Error, MemoryProcessedLog, idempotent_webhook};

    #[idempotent_webhook]
    pub(crate) async fn early(
        log: &MemoryProcessedLog,
        event: &str,
        parse: &str,
    ) -> Result<(), anyhow::Error> {
        if parse == "skip" {
            return Ok(());
        }
        let _number: u8 = parse.parse()?;
        Ok(())
    }

    #[idempotent_webhook]
    pub(crate) async fn diverging(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
        panic!("no way on")
    }

    #[idempotent_webhook(on_duplicate = panic!("seen"))]
    pub(crate) async fn diverging_reply(log: &MemoryProcessedLog, event: &str) -> Result<u8, Error> {
        Ok(1)
    }

    /// An error type as applications write it.
    pub(crate) mod anyhow {
        pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
    }
}

#[tokio::test]
async fn row_10_question_mark_early_return_and_divergence() {
    let log = MemoryProcessedLog::new();
    assert!(returns::early(&log, "evt_1", "skip").await.is_ok());
    assert!(returns::early(&log, "evt_2", "7").await.is_ok());
    assert!(returns::early(&log, "evt_3", "x").await.is_err());
    assert!(returns::early(&log, "evt_3", "x").await.is_ok(), "under a fence, an Err is not run again");
    assert!(AssertUnwindSafe(returns::diverging(&log, "evt_4")).catch_unwind().await.is_err());
    assert_eq!(returns::diverging_reply(&log, "evt_5").await.unwrap(), 1);
    assert!(AssertUnwindSafe(returns::diverging_reply(&log, "evt_5")).catch_unwind().await.is_err());
}

thread_local! {
    static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

async fn plain(log: &MemoryProcessedLog, event: &str, _a: Noted, _: Noted, (_c, _): (Noted, Noted)) {
    let _ = (log, event);
    let _local = Noted("local");
    drop(Noted("temporary"));
    std::future::ready(()).await;
}

#[idempotent_webhook(on_error = |_| ())]
async fn fenced(log: &MemoryProcessedLog, event: &str, _a: Noted, _: Noted, (_c, _): (Noted, Noted)) {
    let _ = (log, event);
    let _local = Noted("local");
    drop(Noted("temporary"));
    std::future::ready(()).await;
}

#[tokio::test]
async fn row_13_everything_drops_in_the_order_of_the_plain_function() {
    let log = MemoryProcessedLog::new();
    let noted = || (Noted("a"), Noted("b"), (Noted("c"), Noted("d")));
    let (a, b, c) = noted();
    plain(&log, "evt_1", a, b, c).await;
    let of_plain = DROPPED.take();
    let (a, b, c) = noted();
    fenced(&log, "evt_1", a, b, c).await;
    assert_eq!(DROPPED.take(), of_plain);
    assert_eq!(of_plain.len(), 6);

    let (a, b, c) = noted();
    fenced(&log, "evt_1", a, b, c).await;
    let mut of_duplicate = DROPPED.take();
    of_duplicate.sort_unstable();
    assert_eq!(of_duplicate, ["a", "b", "c", "d"], "a duplicate drops its arguments once each");
}

#[idempotent_webhook]
async fn counted<L: ProcessedEventLog>(
    log: &L,
    event: &str,
    argument: DropCounter,
    body_ran: &mut bool,
) -> Result<(), Error> {
    *body_ran = true;
    drop(argument);
    Ok(())
}

#[tokio::test]
async fn row_15_dropped_while_the_fence_is_pending_no_body_runs() {
    for polls in 0..2 {
        let (argument, mut body_ran) = (DropCounter::default(), false);
        let call = counted(&Stalled, "evt_1", argument.clone(), &mut body_ran);
        assert!(drop_after_polls(call, polls).await.is_none());
        assert!(!body_ran);
        assert_eq!(argument.drops(), 1, "after {polls} polls");
    }
}

#[tokio::test]
async fn dropped_before_the_first_poll_nothing_is_marked() {
    let log = MemoryProcessedLog::new();
    let mut body_ran = false;
    drop(counted(&log, "evt_1", DropCounter::default(), &mut body_ran));
    counted(&log, "evt_1", DropCounter::default(), &mut body_ran).await.unwrap();
    assert!(body_ran);
}

#[idempotent_webhook]
async fn fails_the_first_time(
    log: &MemoryProcessedLog,
    event: &str,
    how: &str,
) -> Result<Outcome<()>, Error> {
    match how {
        "panic" => panic!("in the body"),
        "err" => Err(ferro_idem_tests::broken()),
        "hang" => std::future::pending().await,
        _ => Ok(Outcome::Processed(())),
    }
}

#[tokio::test]
async fn row_16_after_err_panic_and_cancel_the_mark_stays() {
    let log = MemoryProcessedLog::new();
    assert!(fails_the_first_time(&log, "evt_1", "err").await.is_err());
    assert!(AssertUnwindSafe(fails_the_first_time(&log, "evt_2", "panic")).catch_unwind().await.is_err());
    assert!(drop_after_polls(fails_the_first_time(&log, "evt_3", "hang"), 1).await.is_none());
    for event in ["evt_1", "evt_2", "evt_3"] {
        assert_eq!(fails_the_first_time(&log, event, "").await.unwrap(), Outcome::Duplicate);
    }
}

#[idempotent_webhook]
async fn moves_its_event(log: &MemoryProcessedLog, event: String) -> Result<Outcome<String>, Error> {
    let moved = std::thread::spawn(move || event).join().unwrap();
    Ok(Outcome::Processed(moved))
}

#[idempotent_webhook(event_id = ids.lock().unwrap().clone())]
async fn locks_to_read_its_id(log: &MemoryProcessedLog, ids: &Mutex<String>) -> Result<Outcome<()>, Error> {
    ids.lock().unwrap().push('!');
    Ok(Outcome::Processed(()))
}

fn is_send<F: Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn row_18_the_body_may_move_and_change_what_the_fence_read() {
    let log = MemoryProcessedLog::new();
    assert_eq!(moves_its_event(&log, "evt_1".into()).await.unwrap(), Outcome::Processed("evt_1".into()));
    assert_eq!(moves_its_event(&log, "evt_1".into()).await.unwrap(), Outcome::Duplicate);

    let ids = Mutex::new("evt_2".to_owned());
    let call = is_send(locks_to_read_its_id(&log, &ids));
    assert_eq!(call.await.unwrap(), Outcome::Processed(()), "the guard is gone before the first await");
}
