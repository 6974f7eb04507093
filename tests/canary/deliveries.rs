//! Errors, replies and traces of deliveries under each guarantee, for each way in which a body can end.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use ferro_idem::stripe::StripeEvent;
use ferro_idem::{
    ClaimLog, Error, MemoryProcessedLog, Outcome, ProcessedEventLog, SqliteLog, SqliteTransaction,
    TransactionalLog, idempotent_webhook,
};
use ferro_idem_tests::{drop_after_polls, open_sqlite};
use futures_util::FutureExt;

use super::shown::{
    CANARY, assert_error_is_silent, assert_silent, assert_traces_are_silent, event, listen, reply,
};

/// How a body ends, always with the payload in its hands.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Reply,
    Fail,
    Panic,
    Hang,
}

/// An error type of the application whose messages show all its values.
#[derive(Debug)]
enum Failure {
    Fence(Error),
    Body(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fence(error)
    }
}

async fn end(event: &StripeEvent, ending: Ending) -> Result<Outcome<String>, Failure> {
    let object: serde_json::Value = event.object().unwrap();
    assert_eq!(object["note"], CANARY);
    match ending {
        Ending::Reply => Ok(Outcome::Processed(object.to_string())),
        Ending::Fail => Err(Failure::Body(object.to_string())),
        Ending::Panic => panic!("{object}"),
        Ending::Hang => loop {
            tokio::task::yield_now().await;
        },
    }
}

#[idempotent_webhook]
async fn fenced<L: ProcessedEventLog>(
    log: &L,
    event: StripeEvent,
    ending: Ending,
) -> Result<Outcome<String>, Failure> {
    end(&event, ending).await
}

#[idempotent_webhook(claim(c, lease = Duration::from_secs(30)))]
async fn claimed<L: ClaimLog>(
    log: &L,
    event: StripeEvent,
    ending: Ending,
) -> Result<Outcome<String>, Failure> {
    assert_silent("the claim", &format!("{c:?} {}", c.idempotency_key("refund")));
    end(&event, ending).await
}

#[idempotent_webhook(transaction(tx))]
async fn in_transaction<L: TransactionalLog<Transaction = SqliteTransaction>>(
    log: &L,
    event: StripeEvent,
    ending: Ending,
) -> Result<Outcome<String>, Failure> {
    let object: serde_json::Value = event.object().unwrap();
    sqlx::query("INSERT INTO notes VALUES (?)").bind(object["note"].as_str()).execute(tx).await.unwrap();
    end(&event, ending).await
}

/// Delivers one event for each ending, and once more.
async fn deliver_all<F>(who: &str, log: &impl Debug, deliver: impl Fn(StripeEvent, Ending) -> F)
where
    F: Future<Output = Result<Outcome<String>, Failure>>,
{
    for ending in [Ending::Fail, Ending::Panic, Ending::Hang, Ending::Reply] {
        let id = format!("evt_{ending:?}");
        let delivery = AssertUnwindSafe(deliver(event(&id), ending)).catch_unwind();
        // More polls than a delivery needs: only the body that hangs is dropped.
        if let Some(Ok(reply)) = drop_after_polls(delivery, 200).await {
            look_through(who, reply).await;
        }
        while !look_through(who, deliver(event(&id), Ending::Reply).await).await {
            tokio::task::yield_now().await;
        }
        assert_silent(who, &format!("{log:?} {log:#?}"));
    }
}

/// Returns `false` if the delivery before still has the event.
async fn look_through(who: &str, reply: Result<Outcome<String>, Failure>) -> bool {
    match reply {
        Ok(_) => true,
        Err(Failure::Body(note)) => note.contains(CANARY),
        Err(Failure::Fence(error)) => {
            let is_settled = !matches!(error, Error::InProgress { .. });
            assert_error_is_silent(who, error).await;
            is_settled
        }
    }
}

async fn sqlite() -> (tempfile::TempDir, SqliteLog) {
    let folder = tempfile::TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 4).await;
    sqlx::query("CREATE TABLE notes (note TEXT)").execute(log.pool()).await.unwrap();
    (folder, log)
}

#[tokio::test]
async fn no_guarantee_shows_the_payload_over_memory() {
    listen();
    let log = &MemoryProcessedLog::new();
    deliver_all("the fence", log, |event, ending| fenced(log, event, ending)).await;
    let log = &MemoryProcessedLog::new();
    deliver_all("the claim", log, |event, ending| claimed(log, event, ending)).await;
    assert_traces_are_silent(SPANS);
}

#[tokio::test]
async fn no_guarantee_shows_the_payload_over_sqlite() {
    listen();
    let (_folder, log) = sqlite().await;
    deliver_all("the fence", &log, |event, ending| fenced(&log, event, ending)).await;
    let (_folder, log) = sqlite().await;
    deliver_all("the claim", &log, |event, ending| claimed(&log, event, ending)).await;
    let (_folder, log) = sqlite().await;
    deliver_all("the transaction", &log, |event, ending| in_transaction(&log, event, ending)).await;
    let notes: i64 = sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(log.pool()).await.unwrap();
    assert_eq!(notes, 4, "each event ran to its end once");
    assert_traces_are_silent(SPANS);
    assert_traces_are_silent(&["INSERT INTO notes", "stripe_processed_events"]);
}

/// With the feature `tracing`, there must be traces.
const SPANS: &[&str] = if cfg!(feature = "tracing") {
    &[
        "delivery{event_id=\"evt_Fail\" event_type=\"invoice.paid\" guarantee=\"claim\"",
        "released",
        "duplicate",
    ]
} else {
    &[]
};

#[idempotent_webhook(claim(c, lease = *lease))]
async fn leased(log: &MemoryProcessedLog, event: StripeEvent, lease: &Duration) -> Result<(), Failure> {
    assert_eq!(c.attempt(), 1);
    end(&event, Ending::Hang).await.map(drop)
}

/// Every error that a delivery can get from the library.
#[tokio::test(start_paused = true)]
async fn no_error_of_a_delivery_shows_its_payload() {
    listen();
    let log = &MemoryProcessedLog::new();
    let lease = Duration::from_secs(30);
    let mut running = std::pin::pin!(leased(log, event("evt_1"), &lease));
    assert!(futures_util::poll!(running.as_mut()).is_pending());
    let in_progress = leased(log, event("evt_1"), &lease).await.unwrap_err();
    tokio::time::advance(Duration::from_secs(31)).await;
    let lost = running.await.unwrap_err();
    let too_short = leased(log, event("evt_2"), &Duration::from_millis(1)).await.unwrap_err();
    let nul = leased(log, event(&format!("{CANARY}\\u0000")), &lease).await.unwrap_err();
    let over_long = leased(log, event(&CANARY.repeat(99)), &lease).await.unwrap_err();
    let mut seen = Vec::new();
    for failure in [in_progress, lost, too_short, nul, over_long] {
        let Failure::Fence(error) = failure else { panic!("{failure:?}") };
        seen.push(std::mem::discriminant(&error));
        assert_error_is_silent("a delivery", error).await;
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "in progress, lost, too short, invalid");
    assert_traces_are_silent(&[]);
}

/// The message of a store is for the operator. The sender gets no part of it.
#[tokio::test]
async fn no_reply_shows_what_a_store_said() {
    let error = Error::store(format!("ask {CANARY}"), std::io::Error::other(CANARY));
    assert_silent("the reply", &reply(error).await);
}

#[tokio::test]
async fn no_failing_store_shows_the_payload() {
    listen();
    let (_folder, log) = sqlite().await;
    sqlx::query("DROP TABLE stripe_processed_events").execute(log.pool()).await.unwrap();
    deliver_all("no table", &log, |event, ending| in_transaction(&log, event, ending)).await;
    deliver_all("no table", &log, |event, ending| claimed(&log, event, ending)).await;
    log.create_table().await.unwrap();
    let trigger =
        "CREATE TRIGGER no BEFORE INSERT ON stripe_processed_events BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::raw_sql(trigger).execute(log.pool()).await.unwrap();
    deliver_all("a trigger", &log, |event, ending| fenced(&log, event, ending)).await;
    deliver_all("a trigger", &log, |event, ending| in_transaction(&log, event, ending)).await;
    log.pool().close().await;
    deliver_all("a closed pool", &log, |event, ending| fenced(&log, event, ending)).await;
    deliver_all("a closed pool", &log, |event, ending| in_transaction(&log, event, ending)).await;
    assert_traces_are_silent(&[]);
}
