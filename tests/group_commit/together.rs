//! Each caller in a statement gets the answer that it would get alone.

use std::path::Path;
use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership, ProcessedEventLog};
use ferro_idem_tests::open_sqlite;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::databases::{Database, OnPostgres, on_every_database};

const LEASE: Duration = Duration::from_mins(10);

on_every_database!(
    a_burst_has_one_first_for_each_event,
    claims_are_settled_in_bursts,
    an_event_that_is_refused_fails_alone,
    an_error_reaches_everybody,
    without_group_commit_the_answers_are_the_same,
);

async fn a_burst_has_one_first_for_each_event<D: Database>() {
    let database = D::fresh().await;
    let logs = [database.open().await, database.open().await];
    for round in 0..5 {
        let mut marks = JoinSet::new();
        // Each log in its own order, so that two statements want the same rows at the same time.
        for (log, is_reversed) in logs.iter().zip([false, true]) {
            for event in 0..300 {
                let event = if is_reversed { 299 - event } else { event };
                let (log, id) = (log.clone(), format!("evt_{round}_{}", event % 200));
                marks.spawn(async move { usize::from(log.try_mark_processed(&id).await.unwrap()) });
            }
        }
        assert_eq!(marks.join_all().await.into_iter().sum::<usize>(), 200, "round {round}");
    }
}

/// Sorted, two statements never wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn bursts_of_several_processes_never_deadlock() {
    let database = OnPostgres::fresh().await;
    let logs = [database.open().await, database.open().await, database.open().await];
    for round in 0..30 {
        let ids: Vec<String> = (0..150).map(|event| format!("evt_{round}_{event}")).collect();
        let bursts = logs.iter().enumerate().map(|(log_number, log)| {
            let turned = ids.iter().cycle().skip(50 * log_number).take(150);
            let marks: Vec<_> = turned.map(|id| log.try_mark_processed(id)).collect();
            join_all(marks)
        });
        join_all(bursts).await;
    }
    // What the connections counted is reported when they close.
    for log in &logs {
        log.pool().close().await;
    }
    let log = database.open().await;
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(log.pool())
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
}

async fn claims_are_settled_in_bursts<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    let ids: Vec<String> = (0..200).map(|event| format!("evt_{event}")).collect();
    let claim = async |id: &str| {
        let owner = Owner::random().unwrap();
        (owner, log.claim(EventRef::new(id).unwrap(), owner, LEASE).await.unwrap())
    };
    // Two claims at once: one gets the event, and the other gets the time that is left.
    let claimed = join_all(ids.iter().chain(&ids).map(|id| claim(id))).await;
    let mut held = Vec::new();
    for (id, (owner, outcome)) in ids.iter().chain(&ids).zip(claimed) {
        match outcome {
            ClaimOutcome::Acquired { token: 1 } => held.push((id, Ownership { owner, token: 1 })),
            other => {
                assert!(matches!(other, ClaimOutcome::InProgress { retry_after } if retry_after <= LEASE));
            }
        }
    }
    assert_eq!(held.len(), 200);
    let stranger = Ownership { owner: Owner::random().unwrap(), token: 1 };
    assert!(
        join_all(held.iter().map(|&(id, held)| log.renew(id, held, LEASE)))
            .await
            .into_iter()
            .all(Result::unwrap)
    );
    assert!(
        !join_all(held.iter().map(|&(id, _)| log.renew(id, stranger, LEASE)))
            .await
            .into_iter()
            .any(Result::unwrap)
    );
    // Completions and releases at once, by the owner and by another owner.
    let (first_half, second_half) = held.split_at(100);
    let both = |held: Ownership| [held, stranger];
    let completions = first_half.iter().flat_map(|&(id, held)| both(held).map(|held| log.complete(id, held)));
    let releases = second_half.iter().flat_map(|&(id, held)| both(held).map(|held| log.release(id, held)));
    let (completions, releases) =
        tokio::join!(join_all(completions.collect::<Vec<_>>()), join_all(releases.collect::<Vec<_>>()));
    for [by_owner, by_stranger] in completions.into_iter().chain(releases).array_chunks_of_two() {
        assert!(by_owner.unwrap() && !by_stranger.unwrap());
    }
    let again = join_all(ids.iter().map(|id| claim(id))).await;
    let acquired =
        again.iter().filter(|(_, outcome)| *outcome == ClaimOutcome::Acquired { token: 2 }).count();
    let processed = again.iter().filter(|(_, outcome)| *outcome == ClaimOutcome::Processed).count();
    assert_eq!((acquired, processed), (100, 100));
}

trait Twos: Iterator + Sized {
    fn array_chunks_of_two(self) -> impl Iterator<Item = [Self::Item; 2]> {
        let mut items = self;
        std::iter::from_fn(move || Some([items.next()?, items.next()?]))
    }
}

impl<I: Iterator> Twos for I {}

async fn an_event_that_is_refused_fails_alone<D: Database>() {
    for refusing in D::REFUSING {
        let database = D::fresh().await;
        let log = &database.open().await;
        D::run(log, refusing.to_owned()).await;
        let ids: Vec<String> = (0..50).map(|event| format!("evt_{event}")).collect();
        let marks = ids.iter().enumerate().map(|(number, id)| {
            let kind = if number == 20 { "refused" } else { "paid" };
            log.try_mark_event(EventRef::new(id).unwrap().with_type(kind))
        });
        let marked = join_all(marks.collect::<Vec<_>>()).await;
        for (number, marked) in marked.into_iter().enumerate() {
            match marked {
                Ok(first) => assert!(first && number != 20, "{number}, {refusing}"),
                Err(error) => {
                    assert!(number == 20, "{number}: {error}, {refusing}");
                    assert!(matches!(error, Error::Store { .. }));
                }
            }
        }
    }
}

async fn an_error_reaches_everybody<D: Database>() {
    let database = D::fresh().await;
    let log = &database.open().await;
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    D::run(log, "DROP TABLE stripe_processed_events".to_owned()).await;
    let ids: Vec<String> = (0..50).map(|event| format!("evt_{event}")).collect();
    for marked in join_all(ids.iter().map(|id| log.try_mark_processed(id))).await {
        let error = marked.unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "what the driver said is there");
    }
}

async fn without_group_commit_the_answers_are_the_same<D: Database>() {
    let database = D::fresh().await;
    let (alone, together) = (D::alone(database.open().await), database.open().await);
    let ids: Vec<String> = (0..60).map(|event| format!("evt_{event}")).collect();
    let marks = ids.iter().flat_map(|id| [alone.try_mark_processed(id), together.try_mark_processed(id)]);
    let firsts =
        join_all(marks.collect::<Vec<_>>()).await.into_iter().filter_map(Result::ok).filter(|&first| first);
    assert_eq!(firsts.count(), 60);
}

/// The commits in a write-ahead log: frames that say how large the database is behind them
/// (<https://www.sqlite.org/fileformat2.html#walformat>).
fn commits(wal: &Path) -> usize {
    let wal = std::fs::read(wal).unwrap();
    let number = |at: usize| u32::from_be_bytes(wal[at..at + 4].try_into().unwrap());
    let (header, page) = (32, number(8) as usize);
    (header..wal.len()).step_by(24 + page).filter(|&frame| number(frame + 4) > 0).count()
}

#[tokio::test]
async fn a_burst_is_a_few_commits_and_alone_each_mark_is_one() {
    let folder = TempDir::new().unwrap();
    let wal = folder.path().join("events.db-wal");
    let log = open_sqlite(folder.path(), 3).await;
    let alone = log.clone().without_group_commit();
    let mut made = Vec::new();
    for (log, name) in [(&log, "shared"), (&alone, "alone")] {
        let before = commits(&wal);
        let ids: Vec<String> = (0..100).map(|event| format!("evt_{name}_{event}")).collect();
        join_all(ids.iter().map(|id| log.try_mark_processed(id))).await;
        made.push(commits(&wal) - before);
    }
    assert!(made[0] <= 5 && made[1] == 100, "{made:?}");
}

#[tokio::test]
async fn a_burst_of_claims_and_their_completions_is_a_few_commits() {
    let folder = TempDir::new().unwrap();
    let wal = folder.path().join("events.db-wal");
    let log = open_sqlite(folder.path(), 3).await;
    let ids: Vec<String> = (0..100).map(|event| format!("evt_{event}")).collect();
    let owner = Owner::random().unwrap();
    let before = commits(&wal);
    join_all(ids.iter().map(|id| log.claim(EventRef::new(id).unwrap(), owner, LEASE))).await;
    let claimed = commits(&wal);
    assert!(claimed - before <= 5, "{} commits for 100 claims", claimed - before);
    join_all(ids.iter().map(|id| log.complete(id, Ownership { owner, token: 1 }))).await;
    let completed = commits(&wal);
    assert!(completed - claimed <= 5, "{} commits for 100 completions", completed - claimed);
}
