//! If a runtime shuts down, no caller waits for ever. The queue is bounded.

use std::time::Duration;

use ferro_idem::{ProcessedEventLog, SqliteLog};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::until;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};

/// Holds the one write lock, until it commits.
pub(crate) async fn locked(log: &SqliteLog) -> SqliteConnection {
    let options = log.pool().connect_options();
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    holder
}

#[test]
fn who_waits_for_a_leader_whose_runtime_shuts_down_is_answered() {
    let folder = TempDir::new().unwrap();
    let (leaders, ours) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let log = ours.block_on(open_sqlite(folder.path(), 5));
    assert!(ours.block_on(log.try_mark_processed("before")).unwrap());
    let holder = ours.block_on(locked(&log));

    let leader = leaders.spawn({
        let log = log.clone();
        async move { log.try_mark_processed("leader").await }
    });
    // A connection is in use: the leader's statement waits for the lock.
    while log.pool().num_idle() == log.pool().size() as usize {
        std::thread::yield_now();
    }
    let waiting: Vec<_> = (0..20)
        .map(|event| {
            let log = log.clone();
            ours.spawn(async move { log.try_mark_processed(&format!("evt_{event}")).await })
        })
        .collect();
    ours.block_on(yield_now());
    leaders.shutdown_timeout(Duration::from_secs(5));
    assert!(leader.is_finished());
    ours.block_on(async move {
        let mut holder = holder;
        sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
        for waiting in waiting {
            assert!(waiting.await.unwrap().unwrap());
        }
    });
}

#[tokio::test]
async fn callers_beyond_the_limit_wait_and_are_all_answered() {
    let folder = TempDir::new().unwrap();
    let log = open_sqlite(folder.path(), 3).await;
    assert!(log.try_mark_processed("before").await.unwrap());
    let mut holder = locked(&log).await;
    let mut callers = JoinSet::new();
    for event in 0..10_000 {
        let log = log.clone();
        callers.spawn(async move { log.try_mark_processed(&format!("evt_{event}")).await.unwrap() });
    }
    for _ in 0..100 {
        yield_now().await;
    }
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    assert_eq!(callers.join_all().await, vec![true; 10_000]);
}

fn block_on_each(log: &SqliteLog, thread: usize, calls: usize) -> usize {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    // Each call drives the runtime for itself: between two calls nothing runs in it.
    (0..calls)
        .filter(|call| runtime.block_on(log.try_mark_processed(&format!("evt_{thread}_{call}"))).unwrap())
        .count()
}

#[test]
fn threads_with_a_runtime_each_share_one_log() {
    const CALLS: usize = 400;
    let folder = TempDir::new().unwrap();
    let setup = Runtime::new().unwrap();
    let log = setup.block_on(open_sqlite(folder.path(), 5));
    let (done, all_done) = std::sync::mpsc::channel();
    for thread in 0..3 {
        let (log, done) = (log.clone(), done.clone());
        std::thread::spawn(move || done.send(block_on_each(&log, thread, CALLS)).unwrap());
    }
    for _ in 0..3 {
        let firsts = all_done.recv_timeout(Duration::from_mins(1)).expect("no thread waits for ever");
        assert_eq!(firsts, CALLS);
    }
}

/// The mark may have been made for the delivery that is gone with its runtime. It has the same event, so it is
/// first by that mark.
#[test]
fn a_delivery_whose_twin_s_runtime_shut_down_is_first() {
    for round in 0..10 {
        let folder = TempDir::new().unwrap();
        let (leaders, ours) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let log = ours.block_on(open_sqlite(folder.path(), 5));
        assert!(ours.block_on(log.try_mark_processed("before")).unwrap());
        let mut holder = ours.block_on(locked(&log));
        let leader = leaders.spawn({
            let log = log.clone();
            async move {
                // The second one moves the leader into a task of this runtime.
                tokio::join!(log.try_mark_processed("evt_1"), log.try_mark_processed("other")).0
            }
        });
        while log.pool().num_idle() == log.pool().size() as usize {
            std::thread::yield_now();
        }
        let twins: Vec<_> = (0..3)
            .map(|_| {
                let log = log.clone();
                ours.spawn(async move { log.try_mark_processed("evt_1").await })
            })
            .collect();
        ours.block_on(yield_now());
        leaders.shutdown_timeout(Duration::from_secs(5));
        assert!(leader.is_finished());
        let firsts = ours.block_on(async move {
            sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
            let mut firsts = 0;
            for twin in twins {
                firsts += usize::from(twin.await.unwrap().unwrap());
            }
            if firsts == 0 {
                // Its mark was taken back, because no caller got it.
                until("the next delivery is first", || async {
                    log.try_mark_processed("evt_1").await.unwrap()
                })
                .await;
                firsts = 1;
            }
            firsts
        });
        assert_eq!(firsts, 1, "in round {round}");
    }
}
