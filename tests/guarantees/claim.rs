//! The claim, on every log that supports it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use ferro_idem::{ClaimLog, DEFAULT_LEASE, Error, Outcome, idempotent_webhook};
use ferro_idem_tests::{DropCounter, broken, drop_after_polls, redeliver};
use futures_util::FutureExt;
use tokio::sync::{Barrier, Notify};

use super::stores::{Store, memory, sqlite};

macro_rules! on_every_log {
    ($($test:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::memory()).await })*
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::sqlite().await).await })*
        }
    };
}

on_every_log!(
    after_err_panic_and_cancel_the_next_delivery_runs,
    a_second_delivery_meanwhile_is_told_to_come_again,
    of_two_at_the_same_instant_one_runs_and_the_other_is_no_success_before_it,
    dropped_at_any_await_the_event_is_neither_lost_nor_stuck,
    dropped_while_it_completes_the_event_is_completed,
);

#[derive(Clone, Copy, Debug)]
enum Ending {
    Reply,
    Fail,
    Panic,
}

/// Answers with the attempt.
#[idempotent_webhook(claim(c))]
async fn handle<L: ClaimLog>(log: &L, event: &str, ending: Ending) -> Result<Outcome<u64>, Error> {
    match ending {
        Ending::Reply => Ok(Outcome::Processed(c.attempt())),
        Ending::Fail => Err(broken()),
        Ending::Panic => panic!("in the body"),
    }
}

async fn after_err_panic_and_cancel_the_next_delivery_runs<L: ClaimLog>(store: Store<L>) {
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
        let again = redeliver(|| handle(other, event, Ending::Reply)).await.unwrap();
        assert_eq!(again, Outcome::Processed(2), "{event}: the second attempt runs");
        assert_eq!(handle(log, event, Ending::Fail).await.unwrap(), Outcome::Duplicate, "{event}");
    }
}

#[idempotent_webhook(claim)]
async fn wait_in_the_body<L: ClaimLog>(
    log: &L,
    event: &str,
    entered: &Notify,
    leave: &Notify,
) -> Result<Outcome<()>, Error> {
    entered.notify_one();
    leave.notified().await;
    Ok(Outcome::Processed(()))
}

async fn a_second_delivery_meanwhile_is_told_to_come_again<L: ClaimLog>(store: Store<L>) {
    let [log, other] = &store.handles;
    let (entered, leave) = (Notify::new(), Notify::new());
    let second = async {
        entered.notified().await;
        let error = handle(other, "evt_1", Ending::Reply).await.unwrap_err();
        let Error::InProgress { event_id, retry_after, .. } = &error else { panic!("{error}") };
        assert_eq!(event_id, "evt_1");
        assert!(!retry_after.is_zero() && *retry_after <= DEFAULT_LEASE, "{retry_after:?}");
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        let seconds: u64 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        leave.notify_one();
    };
    let (first, ()) = tokio::join!(wait_in_the_body(log, "evt_1", &entered, &leave), second);
    assert_eq!(first.unwrap(), Outcome::Processed(()));
    assert_eq!(handle(other, "evt_1", Ending::Reply).await.unwrap(), Outcome::Duplicate);
}

/// The result of one round of two racers.
#[derive(Default)]
struct Round {
    inside: AtomicUsize,
    ran: AtomicUsize,
    finished: AtomicBool,
}

#[idempotent_webhook(claim)]
async fn race<L: ClaimLog>(log: &L, event: &str, round: &Round) -> Result<Outcome<()>, Error> {
    assert_eq!(round.inside.fetch_add(1, Ordering::SeqCst), 0, "two bodies at once");
    tokio::task::yield_now().await;
    round.ran.fetch_add(1, Ordering::SeqCst);
    round.inside.fetch_sub(1, Ordering::SeqCst);
    round.finished.store(true, Ordering::SeqCst);
    Ok(Outcome::Processed(()))
}

async fn of_two_at_the_same_instant_one_runs_and_the_other_is_no_success_before_it<L>(store: Store<L>)
where
    L: ClaimLog + Clone + 'static,
{
    for number in 0..1_000 {
        let (round, start) = (Arc::new(Round::default()), Arc::new(Barrier::new(2)));
        let racers = store.handles.clone().map(|log| {
            let (round, start) = (Arc::clone(&round), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                let reply = race(&log, &format!("evt_{number}"), &round).await;
                if reply.is_ok() {
                    assert!(round.finished.load(Ordering::SeqCst), "a success before the winner finished");
                }
                match reply {
                    Ok(Outcome::Processed(())) => 1,
                    Ok(Outcome::Duplicate) | Err(Error::InProgress { .. }) => 0,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let [a, b] = racers;
        assert_eq!(a.await.unwrap() + b.await.unwrap(), 1, "round {number}");
        assert_eq!(round.ran.load(Ordering::SeqCst), 1, "round {number}");
    }
}

#[idempotent_webhook(claim)]
async fn with_awaits<L: ClaimLog>(
    log: &L,
    event: &str,
    argument: DropCounter,
    ran: &AtomicUsize,
) -> Result<Outcome<()>, Error> {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    ran.fetch_add(1, Ordering::SeqCst);
    drop(argument);
    Ok(Outcome::Processed(()))
}

async fn dropped_at_any_await_the_event_is_neither_lost_nor_stuck<L: ClaimLog>(store: Store<L>) {
    let [log, other] = &store.handles;
    for polls in 0..40 {
        let (event, ran, argument) = (format!("evt_{polls}"), AtomicUsize::new(0), DropCounter::default());
        let dropped = drop_after_polls(with_awaits(log, &event, argument.clone(), &ran), polls).await;
        assert_eq!(argument.drops(), 1, "after {polls} polls");
        if let Some(reply) = dropped {
            assert_eq!(reply.unwrap(), Outcome::Processed(()));
        }
        // The release arrives soon. The lease is a minute, and this takes less.
        let again = redeliver(|| with_awaits(other, &event, DropCounter::default(), &ran)).await.unwrap();
        let ran = ran.into_inner();
        match again {
            Outcome::Duplicate => assert_eq!(ran, 1, "a duplicate of what ran, after {polls} polls"),
            Outcome::Processed(()) => assert!((1..=2).contains(&ran), "after {polls} polls"),
        }
    }
}

async fn dropped_while_it_completes_the_event_is_completed<L: ClaimLog>(store: Store<L>) {
    let [log, other] = &store.handles;
    for polls in 0..40 {
        let (event, ran) = (format!("evt_{polls}"), AtomicUsize::new(0));
        drop(drop_after_polls(with_awaits(log, &event, DropCounter::default(), &ran), polls).await);
        if ran.load(Ordering::SeqCst) == 1 {
            let again = redeliver(|| with_awaits(other, &event, DropCounter::default(), &ran)).await;
            assert_eq!(again.unwrap(), Outcome::Duplicate, "dropped behind the body, after {polls} polls");
        }
    }
}
