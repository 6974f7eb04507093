//! The transaction, on SQLite.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ferro_idem::{
    Detached, Error, EventRef, MarkOutcome, Outcome, SqliteLog, SqliteTransaction, TransactionalLog,
    idempotent_webhook,
};
use ferro_idem_tests::{broken, drop_after_polls, effects_of, redeliver, write_effect};
use futures_util::FutureExt;
use tokio::sync::{Barrier, Notify};

use super::stores::sqlite;

#[derive(Clone, Copy)]
enum Ending {
    Reply,
    Fail,
    Panic,
}

/// A body that writes its effect and then ends.
#[idempotent_webhook(transaction(tx))]
async fn handle<L>(log: &L, event: &str, ending: Ending) -> Result<Outcome<()>, Error>
where
    L: TransactionalLog<Transaction = SqliteTransaction>,
{
    write_effect(tx, event).await?;
    match ending {
        Ending::Reply => Ok(Outcome::Processed(())),
        Ending::Fail => Err(broken()),
        Ending::Panic => panic!("in the body"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_body_nothing_is_left_and_the_next_runs() {
    let store = sqlite().await;
    let [log, other] = &store.handles;
    assert!(handle(log, "err", Ending::Fail).await.is_err());
    assert!(AssertUnwindSafe(handle(log, "panic", Ending::Panic)).catch_unwind().await.is_err());
    let (entered, never) = (Notify::new(), Notify::new());
    let hung_up = tokio::select! {
        _ = wait_in_the_body(log, "cancel", &entered, &never) => false,
        () = entered.notified() => true,
    };
    assert!(hung_up);
    for event in ["err", "panic", "cancel"] {
        assert_eq!(effects_of(log, event).await, 0, "{event}");
        let again = redeliver(|| handle(other, event, Ending::Reply)).await.unwrap();
        assert_eq!(again, Outcome::Processed(()), "{event}");
        assert_eq!(handle(log, event, Ending::Reply).await.unwrap(), Outcome::Duplicate, "{event}");
        assert_eq!(effects_of(log, event).await, 1, "{event}");
    }
}

#[idempotent_webhook(transaction(tx))]
async fn wait_in_the_body(
    log: &SqliteLog,
    event: &str,
    entered: &Notify,
    leave: &Notify,
) -> Result<Outcome<()>, Error> {
    write_effect(tx, event).await?;
    entered.notify_one();
    leave.notified().await;
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn a_second_delivery_meanwhile_is_told_at_once_to_come_again() {
    let store = sqlite().await;
    let log = &store.handles[0];
    let (entered, leave) = (Notify::new(), Notify::new());
    let second = async {
        entered.notified().await;
        let error = handle(log, "evt_1", Ending::Reply).await.unwrap_err();
        assert!(matches!(error, Error::InProgress { .. }), "{error}");
        assert_eq!(effects_of(log, "evt_1").await, 0, "nothing is there before the commit");
        leave.notify_one();
    };
    let (first, ()) = tokio::join!(wait_in_the_body(log, "evt_1", &entered, &leave), second);
    assert_eq!(first.unwrap(), Outcome::Processed(()));
    assert_eq!(handle(log, "evt_1", Ending::Reply).await.unwrap(), Outcome::Duplicate);
    assert_eq!(effects_of(log, "evt_1").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_once_one_runs_and_the_other_is_no_early_success() {
    let store = sqlite().await;
    for number in 0..1_000 {
        let (event, start) = (format!("evt_{number}"), Arc::new(Barrier::new(2)));
        let [a, b] = store.handles.clone().map(|log| {
            let (event, start) = (event.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                let reply = redeliver(|| handle(&log, &event, Ending::Reply)).await.unwrap();
                assert_eq!(effects_of(&log, &event).await, 1, "a success before the effect is there");
                usize::from(reply == Outcome::Processed(()))
            })
        });
        assert_eq!(a.await.unwrap() + b.await.unwrap(), 1, "round {number}");
    }
}

#[idempotent_webhook(transaction(tx))]
async fn with_awaits(log: &SqliteLog, event: &str) -> Result<Outcome<()>, Error> {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    write_effect(tx, event).await?;
    tokio::task::yield_now().await;
    Ok(Outcome::Processed(()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_any_await_the_effect_happens_exactly_once() {
    let store = sqlite().await;
    let [log, other] = &store.handles;
    for polls in 0..60 {
        let event = format!("evt_{polls}");
        let finished = drop_after_polls(with_awaits(log, &event), polls).await.is_some();
        let again = redeliver(|| with_awaits(other, &event)).await.unwrap();
        assert!(!finished || again == Outcome::Duplicate, "after {polls} polls");
        assert_eq!(effects_of(log, &event).await, 1, "after {polls} polls");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_deliveries_leave_every_connection_of_the_pool_free() {
    let store = sqlite().await;
    let log = &store.handles[0];
    for round in 0..200 {
        drop(drop_after_polls(with_awaits(log, &format!("evt_{round}")), round % 12).await);
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = log.pool().acquire().await.unwrap();
        sqlx::query("BEGIN").execute(&mut *connection).await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *connection).await.unwrap();
        held.push(connection);
    }
}

/// Commits or rolls back, and returns an error, as if the reply was lost.
#[derive(Clone)]
struct LosesTheReply(SqliteLog);

impl TransactionalLog for LosesTheReply {
    type Transaction = SqliteTransaction;

    fn begin(&self) -> Detached<SqliteTransaction> {
        self.0.begin()
    }

    async fn try_mark_in(
        &self,
        transaction: &mut SqliteTransaction,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        self.0.try_mark_in(transaction, event).await
    }

    fn commit(transaction: SqliteTransaction) -> Detached<()> {
        Box::pin(async move {
            SqliteLog::commit(transaction).await?;
            Err(broken())
        })
    }

    fn rollback(transaction: SqliteTransaction) -> Detached<()> {
        Box::pin(async move {
            SqliteLog::rollback(transaction).await?;
            Err(broken())
        })
    }
}

#[tokio::test]
async fn a_commit_with_a_lost_answer_leads_to_a_duplicate() {
    let store = sqlite().await;
    let log = &store.handles[0];
    let reported = handle(&LosesTheReply(log.clone()), "evt_1", Ending::Reply).await;
    assert!(matches!(reported, Err(Error::Store { .. })), "the sender delivers again: {reported:?}");
    assert_eq!(handle(log, "evt_1", Ending::Reply).await.unwrap(), Outcome::Duplicate);
    assert_eq!(effects_of(log, "evt_1").await, 1);
}

#[tokio::test]
async fn a_known_duplicate_stays_one_if_its_transaction_fails() {
    let store = sqlite().await;
    let log = &store.handles[0];
    handle(log, "evt_1", Ending::Reply).await.unwrap();
    let again = handle(&LosesTheReply(log.clone()), "evt_1", Ending::Reply).await;
    assert_eq!(again.unwrap(), Outcome::Duplicate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_of_a_processed_event_that_meet_are_all_told_so() {
    let store = sqlite().await;
    let log = &store.handles[0];
    handle(log, "evt_1", Ending::Reply).await.unwrap();
    for _ in 0..50 {
        let meeting = [0, 1].map(|_| {
            let log = log.clone();
            tokio::spawn(async move { handle(&log, "evt_1", Ending::Fail).await })
        });
        for duplicate in meeting {
            assert_eq!(duplicate.await.unwrap().unwrap(), Outcome::Duplicate);
        }
    }
}
