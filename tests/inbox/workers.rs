//! Several workers and receivers at once.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::databases::{Database, OnMySql, OnPostgres, SENDER, delivery, ids, inbox, limits, take};
use ferro_idem::__inbox::{InboxStore, Received};
use ferro_idem::conformance::__drop_after_polls as drop_after_polls;
use ferro_idem_tests::servers::MariaDb;

on_every_database!(
    workers_take_no_more_than_they_want_and_never_the_same,
    a_take_that_is_dropped_gives_back_what_it_took,
    what_is_received_for_a_sender_that_hung_up_is_stored,
    later_ones_of_a_key_are_not_looked_at,
    a_receiver_wakes_its_process,
);

async fn workers_take_no_more_than_they_want_and_never_the_same<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let mut receives = JoinSet::new();
    for n in 0..120 {
        let store = store.clone();
        receives.spawn(async move { store.receive(delivery(&format!("evt_{n}"), None)).await.unwrap() });
    }
    receives.join_all().await;
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let store = inbox(&database).await;
        workers.spawn(async move {
            let mut all = Vec::new();
            for _ in 0..20 {
                let taken = take(&store, 7).await;
                assert!(taken.len() <= 7, "{}", taken.len());
                all.extend(taken);
            }
            all
        });
    }
    let taken: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 120);
    assert_eq!(ids(&taken).into_iter().collect::<HashSet<_>>().len(), 120);
}

async fn a_take_that_is_dropped_gives_back_what_it_took<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", None)).await.unwrap();
    for polls in 0..24 {
        // A take that was dropped before may have the row until it is done.
        if let Some(batch) = drop_after_polls(store.take(limits(1)), polls).await {
            for taken in batch.unwrap().taken {
                assert!(store.release(&taken.held).await.unwrap());
            }
        }
        ferro_idem_tests::servers::until("it can be taken", async || {
            let taken = take(&store, 1).await;
            for taken in &taken {
                assert_eq!(taken.attempts, 1);
                assert!(store.release(&taken.held).await.unwrap());
            }
            !taken.is_empty()
        })
        .await;
    }
}

async fn what_is_received_for_a_sender_that_hung_up_is_stored<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    for n in 0..20 {
        let mut receiving = Box::pin(store.receive(delivery(&format!("evt_{n}"), None)));
        let _polled = futures_util::poll!(&mut receiving);
    }
    ferro_idem_tests::servers::until("all are stored", async || store.counts().await.unwrap().waiting == 20)
        .await;
}

async fn later_ones_of_a_key_are_not_looked_at<T: Database>() {
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    let states = async |state: i64| {
        T::number(&log, &format!("SELECT count(*) FROM webhook_inbox WHERE state = {state}")).await
    };
    let mut receives = JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        let key = if n % 2 == 0 { "a" } else { "b" };
        receives.spawn(async move { store.receive(delivery(&format!("evt_{n}"), Some(key))).await.unwrap() });
    }
    receives.join_all().await;
    // One of a key is first, whichever statement it was in. Two statements at the same moment may each see none before.
    assert!(states(0).await < 10, "{}", states(0).await);
    for left in (1..=40).rev() {
        let taken = take(&store, 1).await;
        if taken.is_empty() {
            assert!(store.free_heads().await.unwrap() > 0, "{left} are left");
            continue;
        }
        let step = if left % 3 == 0 {
            store.park(&taken[0].held, "").await
        } else {
            store.complete(&taken[0].held).await
        };
        assert!(step.unwrap());
    }
    assert_eq!(states(3).await, 0);
}

async fn a_receiver_wakes_its_process<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let worker = store.clone();
    let woken = tokio::spawn(async move { worker.woken().await });
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::First);
    timeout(Duration::from_mins(1), woken).await.unwrap().unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_receiver_wakes_the_workers_of_other_processes_on_postgres() {
    let database = OnPostgres::fresh().await;
    let (receiver, worker) = (inbox(&database).await, inbox(&database).await);
    let woken = tokio::spawn(async move {
        // The first one says that it listens from now on, the second one that it was told.
        worker.woken().await;
        worker.woken().await;
    });
    let mut n = 0;
    while !woken.is_finished() {
        n += 1;
        assert!(n < 2000, "it was not woken");
        receiver.receive(delivery(&format!("evt_{n}"), None)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    woken.await.unwrap();
}

/// Locks the first delivery in a transaction, takes all, and frees it again.
macro_rules! locked_rows_are_skipped {
    ($test:ident, $database:ty) => {
        #[tokio::test]
        #[ignore = "needs a server: run tests/run"]
        async fn $test() {
            let database = <$database>::fresh().await;
            let (store, log) = (inbox(&database).await, database.open().await);
            for n in 1..=5 {
                store.receive(delivery(&format!("evt_{n}"), None)).await.unwrap();
            }
            let mut transaction = log.pool().begin().await.unwrap();
            let lock = "SELECT seq FROM webhook_inbox WHERE seq = 1 FOR UPDATE";
            sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await.unwrap();
            assert_eq!(ids(&take(&store, 2).await), ["evt_2", "evt_3"]);
            transaction.rollback().await.unwrap();
            assert_eq!(ids(&take(&store, 2).await), ["evt_1", "evt_4"]);
        }
    };
}

locked_rows_are_skipped!(a_row_that_another_worker_has_is_skipped_on_postgres, OnPostgres);
locked_rows_are_skipped!(a_row_that_another_worker_has_is_skipped_on_mysql, OnMySql);

on_every_server!(workers_that_find_nothing_do_not_hold_up_receivers);

async fn workers_that_find_nothing_do_not_hold_up_receivers<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        // Of another sender: it finds nothing, at the end of the same index.
        let idle = InboxStore::new(&database.open().await, "zzz");
        workers.spawn(async move {
            loop {
                assert!(take(&idle, 10).await.is_empty());
            }
        });
    }
    assert_eq!(SENDER, "github");
    for n in 0..200 {
        store.receive(delivery(&format!("evt_{n}"), None)).await.unwrap();
    }
    workers.abort_all();
    while let Some(ended) = workers.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

/// A server does not answer a close, and may acknowledge it 40 ms later. The driver's next request waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn batches_of_any_size_close_no_statement_on_mysql() {
    const CLOSED: &str = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status
        WHERE variable_name = 'Com_stmt_close'";
    let server = MariaDb::start().await;
    let database = OnMySql(server.fresh_database().await);
    let (log, store) = (database.open().await, inbox(&database).await);
    let closed = OnMySql::number(&log, CLOSED).await;
    for batch in [1, 2, 3, 7, 20, 33, 90] {
        let mut receives = JoinSet::new();
        for n in 0..batch {
            let store = store.clone();
            let delivery = delivery(&format!("evt_{batch}_{n}"), (n % 3 == 0).then_some("key"));
            receives.spawn(async move { store.receive(delivery).await.unwrap() });
        }
        assert!(receives.join_all().await.into_iter().all(|received| received == Received::First));
        for taken in take(&store, batch).await {
            assert!(store.complete(&taken.held).await.unwrap());
        }
    }
    assert_eq!(OnMySql::number(&log, CLOSED).await, closed);
}
