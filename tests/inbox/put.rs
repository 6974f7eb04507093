//! Deliveries that are stored inside the application's own transaction.

use std::sync::{Arc, Mutex};

use ferro_idem::__inbox::Received;
use tokio::task::JoinSet;

use crate::databases::{Database, delivery, ids, inbox, take};

on_every_database!(
    what_is_put_appears_with_its_transaction,
    what_is_put_in_several_transactions_runs_in_the_order_of_their_commits,
);

async fn what_is_put_appears_with_its_transaction<T: Database>() {
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    let mut transaction = log.pool().begin().await.unwrap();
    assert_eq!(store.put(&mut transaction, delivery("evt_1", Some("a"))).await.unwrap(), Received::First);
    assert_eq!(store.put(&mut transaction, delivery("evt_1", Some("a"))).await.unwrap(), Received::Duplicate);
    assert_eq!(store.put(&mut transaction, delivery("evt_2", None)).await.unwrap(), Received::First);
    assert!(take(&store, 10).await.is_empty());
    transaction.rollback().await.unwrap();
    assert!(take(&store, 10).await.is_empty());
    let mut transaction = log.pool().begin().await.unwrap();
    assert_eq!(store.put(&mut transaction, delivery("evt_1", Some("a"))).await.unwrap(), Received::First);
    assert_eq!(store.put(&mut transaction, delivery("evt_3", Some("a"))).await.unwrap(), Received::First);
    transaction.commit().await.unwrap();
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::Duplicate);
    let taken = take(&store, 10).await;
    assert_eq!((ids(&taken), &*taken[0].stored), (vec!["evt_1"], &b"evt_1"[..]));
    assert!(store.complete(&taken[0].held).await.unwrap());
    assert_eq!(ids(&take(&store, 10).await), ["evt_3"]);
}

async fn what_is_put_in_several_transactions_runs_in_the_order_of_their_commits<T: Database>() {
    const PUTS: usize = 25;
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let (store, log, order) = (store.clone(), log.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            for n in 0..PUTS {
                let id = format!("{task}_{n}");
                let mut transaction = log.pool().begin().await.unwrap();
                store.put(&mut transaction, delivery(&id, Some("a"))).await.unwrap();
                // The key's lock is held, so that this is the order of the commits.
                order.lock().unwrap().push(id);
                tokio::task::yield_now().await;
                transaction.commit().await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let order = order.lock().unwrap().clone();
    assert_eq!(order.len(), 4 * PUTS);
    for id in order {
        let mut taken = take(&store, 10).await;
        if taken.is_empty() {
            store.free_heads().await.unwrap();
            taken = take(&store, 10).await;
        }
        assert_eq!(ids(&taken), [&*id]);
        assert!(store.complete(&taken[0].held).await.unwrap());
    }
}
