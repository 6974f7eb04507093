//! Events of one order key run one at a time, in the order of their arrival.

use std::time::Duration;

use ferro_idem::__inbox::{InboxStore, TakeLimits};

use crate::databases::{Database, SENDER, delivery, ids, inbox, limits, take};

on_every_database!(
    one_of_a_key_runs_at_a_time_in_order_of_arrival,
    a_key_in_backoff_waits_and_others_do_not,
    a_parked_one_frees_its_key,
    a_parked_one_holds_its_key_under_strict_order,
    what_waits_for_a_gone_delivery_is_freed_by_the_sweep,
    an_expired_one_and_a_late_lower_one_do_not_wait_for_each_other,
);

async fn one_of_a_key_runs_at_a_time_in_order_of_arrival<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    for n in 1..=3 {
        store.receive(delivery(&format!("a_{n}"), Some("a"))).await.unwrap();
        store.receive(delivery(&format!("b_{n}"), Some("b"))).await.unwrap();
        store.receive(delivery(&format!("free_{n}"), None)).await.unwrap();
    }
    let mut started = Vec::new();
    for _ in 0..3 {
        let taken = take(&store, 100).await;
        assert!(ids(&taken).iter().filter(|id| id.starts_with('a')).count() <= 1, "{taken:?}");
        assert!(take(&store, 100).await.is_empty(), "the others wait for these");
        for taken in taken {
            started.push(taken.held.event_id.to_string());
            assert!(store.complete(&taken.held).await.unwrap());
        }
    }
    started.retain(|id| id.starts_with('a'));
    assert_eq!(started, ["a_1", "a_2", "a_3"]);
    assert_eq!(store.counts().await.unwrap().waiting, 0);
}

async fn a_key_in_backoff_waits_and_others_do_not<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    for id in ["a_1", "a_2"] {
        store.receive(delivery(id, Some("a"))).await.unwrap();
    }
    store.receive(delivery("b_1", Some("b"))).await.unwrap();
    let taken = take(&store, 1).await;
    assert_eq!(ids(&taken), ["a_1"]);
    assert!(store.back_off(&taken[0].held, Duration::from_secs(100), "").await.unwrap());
    assert_eq!(ids(&take(&store, 10).await), ["b_1"]);
    assert_eq!(store.free_heads().await.unwrap(), 0);
    assert!(take(&store, 10).await.is_empty());
}

async fn a_parked_one_frees_its_key<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    for id in ["a_1", "a_2", "a_3"] {
        store.receive(delivery(id, Some("a"))).await.unwrap();
    }
    let taken = take(&store, 10).await;
    assert!(store.park(&taken[0].held, "a reason").await.unwrap());
    store.receive(delivery("a_4", Some("a"))).await.unwrap();
    for id in ["a_2", "a_3", "a_4"] {
        let taken = take(&store, 10).await;
        assert_eq!(ids(&taken), [id]);
        assert!(store.complete(&taken[0].held).await.unwrap());
    }
}

async fn a_parked_one_holds_its_key_under_strict_order<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await.with_strict_order();
    store.receive(delivery("a_1", Some("a"))).await.unwrap();
    let taken = take(&store, 10).await;
    store.receive(delivery("a_2", Some("a"))).await.unwrap();
    assert!(store.park(&taken[0].held, "a reason").await.unwrap());
    store.receive(delivery("a_3", Some("a"))).await.unwrap();
    store.receive(delivery("b_1", Some("b"))).await.unwrap();
    assert_eq!(store.free_heads().await.unwrap(), 0);
    assert_eq!(ids(&take(&store, 10).await), ["b_1"]);
    T::run(&database.open().await, "DELETE FROM webhook_inbox WHERE state = 2").await;
    store.free_heads().await.unwrap();
    assert_eq!(ids(&take(&store, 10).await), ["a_2"]);
}

async fn what_waits_for_a_gone_delivery_is_freed_by_the_sweep<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    for n in 0..600 {
        store.receive(delivery(&format!("{n}_1"), Some(&format!("key_{n}")))).await.unwrap();
        store.receive(delivery(&format!("{n}_2"), Some(&format!("key_{n}")))).await.unwrap();
    }
    T::run(&database.open().await, "DELETE FROM webhook_inbox WHERE state = 0").await;
    assert!(take(&store, 10).await.is_empty());
    let mut freed = 0;
    for _ in 0..3 {
        freed += store.free_heads().await.unwrap();
    }
    assert_eq!(freed, 600, "three steps of 256 keys each");
    assert_eq!(take(&store, 1000).await.len(), 600);
}

async fn an_expired_one_and_a_late_lower_one_do_not_wait_for_each_other<T: Database>() {
    let database = T::fresh().await;
    let store = InboxStore::new(&database.open().await, SENDER);
    store.create_tables().await.unwrap();
    store.receive(delivery("early", Some("a"))).await.unwrap();
    store.receive(delivery("late", Some("a"))).await.unwrap();
    let log = database.open().await;
    // As if `early` had been committed after `late` was taken.
    T::run(&log, "UPDATE webhook_inbox SET state = 2 WHERE event_id = 'github:early'").await;
    store.free_heads().await.unwrap();
    let taken = store.take(TakeLimits { lease: Duration::ZERO, ..limits(10) }).await.unwrap().taken;
    assert_eq!(ids(&taken), ["late"]);
    T::run(&log, T::BACK_FROM_PARKED).await;
    let again = take(&store, 10).await;
    assert_eq!(ids(&again), ["late"], "it runs on, and the early one waits for it");
    assert!(take(&store, 10).await.is_empty());
    assert!(store.complete(&again[0].held).await.unwrap());
    assert_eq!(ids(&take(&store, 10).await), ["early"]);
}
