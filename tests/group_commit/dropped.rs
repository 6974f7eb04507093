//! Dropping a caller, at any point, harms nobody, and loses no event.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, ProcessedEventLog};
use ferro_idem_tests::drop_after_polls;
use ferro_idem_tests::servers::until;
use futures_util::future::join;

use crate::databases::{Database, on_every_database};

const LEASE: Duration = Duration::from_mins(10);

on_every_database!(
    a_mark_whose_caller_went_is_taken_back,
    of_two_callers_the_one_who_stays_is_first,
    alone_too_a_mark_whose_caller_went_is_taken_back,
    a_leader_who_goes_leaves_nobody_behind,
    claims_go_on_beside_those_that_were_dropped,
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
            // The one who went had it, and it was taken back.
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

async fn claims_go_on_beside_those_that_were_dropped<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    for polls in 0..8 {
        let (id, beside) = (format!("evt_{polls}"), format!("beside_{polls}"));
        let owner = Owner::random().unwrap();
        let dropped = drop_after_polls(log.claim(EventRef::new(&id).unwrap(), owner, LEASE), polls);
        let stays = log.claim(EventRef::new(&beside).unwrap(), Owner::random().unwrap(), LEASE);
        let (_, stays) = join(dropped, stays).await;
        assert_eq!(stays.unwrap(), ClaimOutcome::Acquired { fence: 1 });
        // Whether it was carried out or not, it can be repeated.
        let again = log.claim(EventRef::new(&id).unwrap(), owner, LEASE).await.unwrap();
        assert_eq!(again, ClaimOutcome::Acquired { fence: 1 }, "after {polls} polls");
    }
}
