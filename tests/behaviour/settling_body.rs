//! The body's behaviour under claim and transaction: rows 13, 15, 17 and 18.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MemoryProcessedLog, Outcome, Owner, Ownership, SqliteLog,
    SqliteTransaction, TransactionalLog, WebhookEvent, idempotent_webhook,
};
use ferro_idem_tests::{DropCounter, drop_after_polls};

use super::sqlite::{sqlite, write_effect};

thread_local! {
    static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

async fn plain(event: &str, _unused: Noted, a: Noted, _: Noted, (b, _): (Noted, Noted)) {
    let _ = event;
    let _local = Noted("local");
    let _ = (&b, &a);
    drop(Noted("temporary"));
    std::future::ready(()).await;
}

#[idempotent_webhook(log = MemoryProcessedLog::new(), on_error = |_| (), claim)]
async fn claimed(event: &str, _unused: Noted, a: Noted, _: Noted, (b, _): (Noted, Noted)) {
    let _ = event;
    let _local = Noted("local");
    let _ = (&b, &a);
    drop(Noted("temporary"));
    std::future::ready(()).await;
}

#[idempotent_webhook(log = log, on_error = |_| (), transaction(tx))]
async fn transacted(log: SqliteLog, event: &str, _unused: Noted, a: Noted, _: Noted, (b, _): (Noted, Noted)) {
    let _ = (event, tx);
    let _local = Noted("local");
    let _ = (&b, &a);
    drop(Noted("temporary"));
    std::future::ready(()).await;
}

fn noted() -> (Noted, Noted, Noted, (Noted, Noted)) {
    (Noted("unused"), Noted("a"), Noted("_"), (Noted("b"), Noted("beside b")))
}

/// Locals drop first, as always. Then the parameters that the body uses, in the order of their use: they
/// moved into the body and drop before the event is settled. Parameters that the body does not use belong to
/// the function and drop last, as always.
#[tokio::test]
async fn row_13_parameters_of_the_body_drop_with_it() {
    let (unused, a, underscore, b) = noted();
    plain("evt_1", unused, a, underscore, b).await;
    assert_eq!(DROPPED.take(), ["temporary", "local", "b", "beside b", "_", "a", "unused"]);

    let (unused, a, underscore, b) = noted();
    claimed("evt_1", unused, a, underscore, b).await;
    let of_claimed = DROPPED.take();
    assert_eq!(of_claimed, ["temporary", "local", "b", "a", "beside b", "_", "unused"]);

    let (sqlite, _folder) = sqlite().await;
    let (unused, a, underscore, b) = noted();
    transacted(sqlite.clone(), "evt_1", unused, a, underscore, b).await;
    assert_eq!(DROPPED.take(), of_claimed);

    let (unused, a, underscore, b) = noted();
    transacted(sqlite, "evt_1", unused, a, underscore, b).await;
    let mut of_duplicate = DROPPED.take();
    of_duplicate.sort_unstable();
    assert_eq!(of_duplicate, ["_", "a", "b", "beside b", "unused"], "a duplicate drops each once");
}

/// A log that can claim and whose store never answers.
#[derive(Clone)]
struct Stalled;

#[async_trait]
impl ClaimLog for Stalled {
    async fn claim(&self, _: EventRef<'_>, _: Owner, _: Duration) -> Result<ClaimOutcome, Error> {
        std::future::pending().await
    }

    async fn renew(&self, _: &str, _: Ownership, _: Duration) -> Result<bool, Error> {
        Ok(false)
    }

    async fn complete(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        Ok(false)
    }

    async fn release(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        Ok(false)
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(Self)
    }
}

#[idempotent_webhook(claim)]
async fn counted<L: ClaimLog>(
    log: &L,
    event: &str,
    argument: DropCounter,
    body_ran: &mut bool,
) -> Result<(), Error> {
    *body_ran = true;
    drop(argument);
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn counted_in_a_transaction(
    log: &SqliteLog,
    event: &str,
    argument: DropCounter,
    body_ran: &mut bool,
) -> Result<(), Error> {
    *body_ran = true;
    drop((argument, tx));
    Ok(())
}

#[tokio::test]
async fn row_15_dropped_while_the_claim_is_pending_no_body_runs() {
    for polls in 0..2 {
        let (argument, mut body_ran) = (DropCounter::default(), false);
        let call = counted(&Stalled, "evt_1", argument.clone(), &mut body_ran);
        assert!(drop_after_polls(call, polls).await.is_none());
        assert!(!body_ran);
        assert_eq!(argument.drops(), 1, "after {polls} polls");
    }
}

#[tokio::test]
async fn row_15_dropped_while_the_begin_is_pending_no_body_runs() {
    let (log, _folder) = sqlite().await;
    // The first poll finds every connection taken.
    let taken = [log.pool().acquire().await.unwrap(), log.pool().acquire().await.unwrap()];
    for polls in 0..2 {
        let (argument, mut body_ran) = (DropCounter::default(), false);
        let call = counted_in_a_transaction(&log, "evt_1", argument.clone(), &mut body_ran);
        assert!(drop_after_polls(call, polls).await.is_none());
        assert!(!body_ran);
        assert_eq!(argument.drops(), 1, "after {polls} polls");
    }
    drop(taken);
    let (argument, mut body_ran) = (DropCounter::default(), false);
    counted_in_a_transaction(&log, "evt_1", argument.clone(), &mut body_ran).await.unwrap();
    assert!(body_ran, "the event is free");
    assert_eq!(argument.drops(), 1);
}

#[tokio::test]
async fn dropped_before_the_first_poll_nothing_is_claimed() {
    let log = MemoryProcessedLog::new();
    let mut body_ran = false;
    drop(counted(&log, "evt_1", DropCounter::default(), &mut body_ran));
    counted(&log, "evt_1", DropCounter::default(), &mut body_ran).await.unwrap();
    assert!(body_ran);
}

/// `Send`, and not `Sync`: a reference to it may not cross an await.
struct Unsynchronised(#[allow(dead_code)] Cell<u8>, String);

impl WebhookEvent for Unsynchronised {
    fn event_id(&self) -> &str {
        &self.1
    }
}

#[idempotent_webhook(claim(c))]
async fn generic_claim<L: ClaimLog, E: WebhookEvent + Send>(log: &L, event: E) -> Result<(), Error> {
    std::future::ready(()).await;
    drop((event, c));
    Ok(())
}

#[idempotent_webhook(scope = "generic", transaction(tx))]
async fn generic_transaction<L, E>(log: &L, event: E) -> Result<(), Error>
where
    L: TransactionalLog<Transaction = SqliteTransaction>,
    E: WebhookEvent + Send,
{
    write_effect(tx, "generic").await?;
    drop(event);
    Ok(())
}

#[idempotent_webhook(claim)]
async fn dynamic_claim(log: &dyn ClaimLog, event: &(dyn WebhookEvent + Sync)) -> Result<(), Error> {
    Ok(())
}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn row_17_the_future_is_send_where_the_plain_one_is() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    let event = || Unsynchronised(Cell::new(0), "evt_1".into());
    is_send(generic_claim(&memory, event())).await.unwrap();
    is_send(generic_claim(&&memory, String::from("evt_2"))).await.unwrap();
    is_send(dynamic_claim(&memory, &"evt_3")).await.unwrap();
    is_send(generic_transaction(&sqlite, event())).await.unwrap();
    is_send(generic_transaction(&Arc::new(sqlite), String::from("evt_2"))).await.unwrap();
}

struct App<L> {
    log: L,
}

#[idempotent_webhook(log = app.log, claim)]
async fn moves_all_under_a_claim<L: ClaimLog + 'static>(
    app: App<L>,
    event: String,
) -> Result<Outcome<String>, Error> {
    let moved = std::thread::spawn(move || (app, event).1).join().unwrap();
    Ok(Outcome::Processed(moved))
}

#[idempotent_webhook(log = app.log, event_id = event.clone(), transaction(tx))]
async fn moves_all_in_a_transaction(app: App<SqliteLog>, event: String) -> Result<Outcome<String>, Error> {
    write_effect(tx, &event).await?;
    drop(app);
    Ok(Outcome::Processed(event))
}

#[tokio::test]
async fn row_18_the_body_may_move_the_event_and_the_owner_of_the_log() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    let app = || App { log: memory.clone() };
    for outcome in [Outcome::Processed("evt_1".to_owned()), Outcome::Duplicate] {
        assert_eq!(moves_all_under_a_claim(app(), "evt_1".into()).await.unwrap(), outcome);
        let app = App { log: sqlite.clone() };
        assert_eq!(moves_all_in_a_transaction(app, "evt_1".into()).await.unwrap(), outcome);
    }
}

#[idempotent_webhook(log = *lock.lock().await, on_duplicate = Ok(lock.lock().await.len()), claim)]
async fn guarded(lock: &tokio::sync::Mutex<MemoryProcessedLog>, event: &str) -> Result<usize, Error> {
    Ok(lock.lock().await.len())
}

#[tokio::test]
async fn locks_of_the_log_expression_are_released_before_the_body() {
    let lock = tokio::sync::Mutex::new(MemoryProcessedLog::new());
    assert_eq!(guarded(&lock, "evt_1").await.unwrap(), 0);
    assert_eq!(guarded(&lock, "evt_1").await.unwrap(), 1);
}
