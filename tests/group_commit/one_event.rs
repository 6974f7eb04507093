//! An event that an open transaction holds does not delay other events.

use std::time::Duration;

use ferro_idem::{EventRef, MarkOutcome, ProcessedEventLog, TransactionalLog};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::databases::{Database, OnMySql, OnPostgres};

/// Longer than a statement waits for one row, and shorter than a caller waits for its answer.
const PATIENCE: Duration = Duration::from_secs(8);

async fn others_go_on_while_a_transaction_has_one<D: Database>() {
    let database = D::fresh().await;
    let (log, other) = (database.open().await, database.open().await);
    let mut transaction = other.begin().await.unwrap();
    let held = EventRef::new("held").unwrap();
    assert_eq!(other.try_mark_in(&mut transaction, held).await.unwrap(), MarkOutcome::First);

    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.try_mark_processed("held").await }
    });
    let ids: Vec<String> = (0..30).map(|event| format!("evt_{event}")).collect();
    let marks = join_all(ids.iter().map(|id| log.try_mark_processed(id)));
    let marked = timeout(PATIENCE, marks).await.expect("the others are answered while it is held");
    assert!(marked.into_iter().all(Result::unwrap));
    assert!(!waiting.is_finished(), "the held one waits");

    D::Log::commit(transaction).await.unwrap();
    assert!(!waiting.await.unwrap().unwrap(), "and is a duplicate when the transaction has committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn others_go_on_while_a_transaction_has_one_on_postgres() {
    others_go_on_while_a_transaction_has_one::<OnPostgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn others_go_on_while_a_transaction_has_one_on_mysql() {
    others_go_on_while_a_transaction_has_one::<OnMySql>().await;
}
