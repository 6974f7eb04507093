//! The future that a fenced handler returns: rows 14 and 17.

#![allow(clippy::large_types_passed_by_value)]

use std::cell::Cell;
use std::future::Future;

use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog, SqliteLog, WebhookEvent, idempotent_webhook};

type Large = [u8; 8192];

async fn plain(log: &MemoryProcessedLog, event: &str, large: Large) -> Result<(), Error> {
    let _ = (log, event);
    std::future::ready(()).await;
    drop(Box::new(large));
    Ok(())
}

#[idempotent_webhook]
async fn fenced(log: &MemoryProcessedLog, event: &str, large: Large) -> Result<(), Error> {
    let _ = (log, event);
    std::future::ready(()).await;
    drop(Box::new(large));
    Ok(())
}

#[idempotent_webhook(scope = "billing")]
async fn scoped(log: &MemoryProcessedLog, event: &str, large: Large) -> Result<(), Error> {
    let _ = (log, event);
    std::future::ready(()).await;
    drop(Box::new(large));
    Ok(())
}

#[test]
fn row_14_the_future_grows_by_at_most_128_bytes() {
    let log = MemoryProcessedLog::new();
    let of_plain = size_of_val(&plain(&log, "evt_1", [0; 8192]));
    let of_fenced = size_of_val(&fenced(&log, "evt_1", [0; 8192]));
    let of_scoped = size_of_val(&scoped(&log, "evt_1", [0; 8192]));
    println!("plain {of_plain}, fenced {of_fenced}, scoped {of_scoped}");
    assert!(of_fenced <= of_plain + 128, "{of_fenced} after {of_plain}");
    assert!(of_scoped <= of_plain + 128, "{of_scoped} after {of_plain}");
}

async fn plain_reply(log: &MemoryProcessedLog, event: &str, large: Large) -> Result<Large, Error> {
    let _ = (log, event);
    std::future::ready(()).await;
    Ok(large)
}

#[idempotent_webhook(claim, on_duplicate = Ok([0; 8192]))]
async fn claimed(log: &MemoryProcessedLog, event: &str, large: Large) -> Result<Large, Error> {
    let _ = (log, event);
    std::future::ready(()).await;
    Ok(large)
}

#[idempotent_webhook(transaction(tx), on_duplicate = Ok([0; 8192]))]
async fn transacted(log: &SqliteLog, event: &str, large: Large) -> Result<Large, Error> {
    let _ = (log, event, tx);
    std::future::ready(()).await;
    Ok(large)
}

/// An argument is held as often as in the plain function, and the reply once, while the event is settled.
#[test]
fn under_a_claim_or_transaction_the_future_grows_by_the_reply() {
    let log = MemoryProcessedLog::new();
    let of_plain = size_of_val(&plain_reply(&log, "evt_1", [0; 8192]));
    let of_claimed = size_of_val(&claimed(&log, "evt_1", [0; 8192]));
    let of_transacted = size_of_future(transacted);
    println!("plain {of_plain}, claimed {of_claimed}, transacted {of_transacted}");
    let bound = of_plain + size_of::<Result<Large, Error>>() + 768;
    assert!(of_claimed <= bound, "{of_claimed} after {of_plain}");
    assert!(of_transacted <= bound, "{of_transacted} after {of_plain}");
}

/// Without a log at hand.
fn size_of_future<'r, F: Future>(_: impl Fn(&'r SqliteLog, &'r str, Large) -> F) -> usize {
    size_of::<F>()
}

/// `Send`, and not `Sync`: a reference to it may not cross an await.
struct Unsynchronised(#[allow(dead_code)] Cell<u8>, String);

impl WebhookEvent for Unsynchronised {
    fn event_id(&self) -> &str {
        &self.1
    }
}

#[idempotent_webhook]
async fn generic<L: ProcessedEventLog, E: WebhookEvent + Send>(log: &L, event: E) -> Result<(), Error> {
    std::future::ready(()).await;
    drop(event);
    Ok(())
}

#[idempotent_webhook]
async fn dynamic(log: &dyn ProcessedEventLog, event: &(dyn WebhookEvent + Sync)) -> Result<(), Error> {
    Ok(())
}

#[test]
fn row_17_the_future_is_send_where_the_plain_one_is() {
    fn is_send(future: impl Future + Send) {
        drop(future);
    }
    let log = MemoryProcessedLog::new();
    is_send(generic(&log, Unsynchronised(Cell::new(0), "evt_1".into())));
    is_send(generic(&&log, String::new()));
    is_send(dynamic(&log, &"evt_1"));
}
