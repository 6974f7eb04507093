//! Dropping a caller at any point, or not polling it, affects no other caller and loses no event.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, Ownership, ProcessedEventLog, SqliteLog};
use ferro_idem_tests::servers::until;
use ferro_idem_tests::{drop_after_polls, open_sqlite};
use futures_util::future::join;
use futures_util::poll;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, unconstrained};
use tokio::time::timeout;

use crate::databases::{Database, on_every_database};
use crate::runtimes::locked;

const LEASE: Duration = Duration::from_mins(10);

on_every_database!(
    a_mark_whose_caller_went_is_taken_back,
    of_two_callers_the_one_who_stays_is_first,
    alone_too_a_mark_whose_caller_went_is_taken_back,
    a_leader_who_goes_leaves_nobody_behind,
    a_caller_that_is_not_polled_keeps_nobody_waiting,
    claims_go_on_beside_those_that_were_dropped,
    a_thousand_dropped_deliveries_of_one_event_harm_nobody,
);

/// The body never had the chance to run, so the next delivery has to.
async fn is_first_in_the_end<L: ProcessedEventLog>(log: &L, id: &str) {
    until("the mark is taken back, and the next delivery is first", || async {
        log.try_mark_processed(id).await.unwrap()
    })
    .await;
    assert!(!log.try_mark_processed(id).await.unwrap());
}

async fn drop_at_every_await<L: ProcessedEventLog>(log: &L, other: &L) {
    for polls in 0..12 {
        let id = format!("evt_{polls}");
        match drop_after_polls(log.try_mark_processed(&id), polls).await {
            Some(first) => {
                assert!(first.unwrap());
                assert!(!other.try_mark_processed(&id).await.unwrap(), "what was heard is kept");
            }
            None => is_first_in_the_end(other, &id).await,
        }
    }
}

async fn a_mark_whose_caller_went_is_taken_back<D: Database>() {
    let database = D::fresh().await;
    drop_at_every_await(&database.open().await, &database.open().await).await;
}

async fn alone_too_a_mark_whose_caller_went_is_taken_back<D: Database>() {
    let database = D::fresh().await;
    drop_at_every_await(&D::alone(database.open().await), &database.open().await).await;
}

async fn of_two_callers_the_one_who_stays_is_first<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    for polls in 0..6 {
        let id = &format!("evt_{polls}");
        let (gone, stays) =
            join(drop_after_polls(log.try_mark_processed(id), polls), log.try_mark_processed(id)).await;
        let stays = stays.unwrap();
        match gone {
            Some(first) => assert!(first.unwrap() != stays, "one of the two"),
            None if stays => assert!(!log.try_mark_processed(id).await.unwrap()),
            // The dropped caller had the mark, and it was taken back.
            None => is_first_in_the_end(log, id).await,
        }
    }
}

async fn a_leader_who_goes_leaves_nobody_behind<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    for polls in 1..8 {
        let leader = drop_after_polls(log.try_mark_processed("leader"), polls);
        let ids: Vec<String> = (0..20).map(|event| format!("evt_{polls}_{event}")).collect();
        let followers = futures_util::future::join_all(ids.iter().map(|id| log.try_mark_processed(id)));
        let (_, followers) = join(leader, followers).await;
        assert!(followers.into_iter().all(Result::unwrap), "after {polls} polls");
    }
}

/// As in a `select!` whose other branch calls the log.
async fn a_caller_that_is_not_polled_keeps_nobody_waiting<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    assert!(log.try_mark_processed("before").await.unwrap());
    let ids: Vec<String> = (0..1_000).map(|another| format!("kept_{another}")).collect();
    let mut kept = pin!(log.try_mark_processed("kept"));
    let mut begun = poll!(kept.as_mut());
    // A database can answer at once.
    for another in &ids {
        let Poll::Ready(is_first) = begun else { break };
        assert!(is_first.unwrap());
        kept.set(log.try_mark_processed(another));
        begun = poll!(kept.as_mut());
    }
    assert!(begun.is_pending());
    let beside = timeout(Duration::from_secs(20), log.try_mark_processed("beside")).await;
    assert!(beside.expect("it waits for nobody who is not polled").unwrap());
    assert!(kept.await.unwrap());
}

async fn claims_go_on_beside_those_that_were_dropped<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    for polls in 0..8 {
        let (id, beside) = (format!("evt_{polls}"), format!("beside_{polls}"));
        let owner = Owner::random().unwrap();
        let dropped = drop_after_polls(log.claim(EventRef::new(&id).unwrap(), owner, LEASE), polls);
        let stays = log.claim(EventRef::new(&beside).unwrap(), Owner::random().unwrap(), LEASE);
        let (_, stays) = join(dropped, stays).await;
        assert_eq!(stays.unwrap(), ClaimOutcome::Acquired { token: 1 });
        // Whether it was carried out or not, it can be repeated.
        let again = log.claim(EventRef::new(&id).unwrap(), owner, LEASE).await.unwrap();
        assert_eq!(again, ClaimOutcome::Acquired { token: 1 }, "after {polls} polls");
    }
}

async fn a_thousand_dropped_deliveries_of_one_event_harm_nobody<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    for polls in 1..8 {
        let id = format!("evt_{polls}");
        let mut callers = JoinSet::new();
        for _ in 0..1_000 {
            let (log, id) = (log.clone(), id.clone());
            callers.spawn(async move { drop_after_polls(log.try_mark_processed(&id), polls).await });
        }
        let answers = callers.join_all().await.into_iter().flatten();
        match answers.filter(|is_first| *is_first.as_ref().unwrap()).count() {
            0 => is_first_in_the_end(log, &id).await,
            firsts => assert_eq!(firsts, 1, "after {polls} polls"),
        }
    }
}

async fn is_under_way(log: &SqliteLog) {
    until("a statement waits for the lock", || async { log.pool().num_idle() < log.pool().size() as usize })
        .await;
}

#[tokio::test]
async fn who_queues_behind_a_caller_who_goes_is_first() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 3).await;
    assert!(log.try_mark_processed("before").await.unwrap());
    let mut holder = locked(&log).await;
    let mut goes = Box::pin(log.try_mark_processed("evt_1"));
    assert!(poll!(goes.as_mut()).is_pending());
    is_under_way(&log).await;
    let mut stays = pin!(log.try_mark_processed("evt_1"));
    assert!(poll!(stays.as_mut()).is_pending());
    drop(goes);
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    assert!(stays.await.unwrap(), "nobody else ran");
}

#[tokio::test]
async fn a_dropped_mark_does_not_go_to_another_event() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 3).await;
    assert!(log.try_mark_processed("before").await.unwrap());
    let mut holder = locked(&log).await;
    let mut goes = Box::pin(log.try_mark_processed("evt_1"));
    assert!(poll!(goes.as_mut()).is_pending());
    is_under_way(&log).await;
    let mut other = Box::pin(log.try_mark_processed("evt_2"));
    assert!(poll!(other.as_mut()).is_pending());
    drop(goes);
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    assert!(other.await.unwrap(), "it is the first delivery of its event");
    assert!(!log.try_mark_processed("evt_2").await.unwrap(), "the other event has a mark of its own");
    is_first_in_the_end(&log, "evt_1").await;
}

/// All clients hang up while the first statement runs. Handing the mark from caller to caller must not take a
/// stack frame per caller.
#[test]
fn a_mark_passes_thousands_of_dropped_callers() {
    let small_stacks = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(512 * 1024)
        .enable_all()
        .build()
        .unwrap();
    let test = small_stacks.spawn(async {
        let folder = TempDir::new().unwrap();
        let log = open_sqlite(folder.path(), 3).await;
        assert!(log.try_mark_processed("before").await.unwrap());
        let mut holder = locked(&log).await;
        // Outside of tokio's budget, which would let only some of them queue.
        let caller = |_| Box::pin(unconstrained(log.try_mark_processed("evt_1")));
        let mut callers: Vec<_> = (0..4_000).map(caller).collect();
        for caller in &mut callers {
            assert!(poll!(caller).is_pending());
        }
        is_under_way(&log).await;
        drop(callers);
        sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
        is_first_in_the_end(&log, "evt_1").await;
    });
    small_stacks.block_on(test).unwrap();
}

#[tokio::test]
async fn a_renewal_whose_caller_went_renews_nothing() {
    const SHORT: Duration = Duration::from_secs(5);
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 3).await;
    let held = Ownership { owner: Owner::random().unwrap(), token: 1 };
    for id in ["evt_1", "evt_2"] {
        let claimed = log.claim(EventRef::new(id).unwrap(), held.owner, SHORT).await.unwrap();
        assert_eq!(claimed, ClaimOutcome::Acquired { token: 1 });
    }
    let mut holder = locked(&log).await;
    let mut renews = pin!(log.renew("evt_1", held, SHORT));
    assert!(poll!(renews.as_mut()).is_pending());
    is_under_way(&log).await;
    let mut goes = Box::pin(log.renew("evt_2", held, LEASE));
    assert!(poll!(goes.as_mut()).is_pending());
    drop(goes);
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    assert!(renews.await.unwrap());
    // After all callers that queued.
    assert!(log.renew("evt_1", held, SHORT).await.unwrap());
    let other = log.claim(EventRef::new("evt_2").unwrap(), Owner::random().unwrap(), SHORT).await.unwrap();
    assert!(matches!(other, ClaimOutcome::InProgress { retry_after } if retry_after <= SHORT), "{other:?}");
}
