//! What waits and cannot run does not slow a take.

use std::time::{Duration, Instant};

use ferro_idem::__inbox::{InboxDatabase, InboxStore};

use crate::databases::{Database, delivery, inbox, take};

on_every_database!(
    a_take_beside_50_000_in_backoff_is_as_fast_as_without,
    a_take_after_50_000_of_one_key_is_as_fast_as_without,
    a_sweep_beside_50_000_of_one_key_is_short,
);

const MANY: u32 = 50_000;

/// A busy machine can keep any statement for so long.
const NOISE: Duration = Duration::from_millis(60);

/// The median of some takes of 10 of 20.
async fn takes<D: InboxDatabase>(store: &InboxStore<D>, name: &str) -> Duration {
    let mut times = Vec::new();
    for round in 0..7 {
        for n in 0..20 {
            store.receive(delivery(&format!("{name}_{round}_{n}"), Some(&format!("key_{n}")))).await.unwrap();
        }
        let start = Instant::now();
        let mut taken = take(store, 10).await;
        times.push(start.elapsed());
        assert_eq!(taken.len(), 10);
        taken.extend(take(store, 100).await);
        for taken in taken {
            assert!(store.complete(&taken.held).await.unwrap());
        }
    }
    times.sort();
    times[times.len() / 2]
}

async fn a_take_beside_50_000_in_backoff_is_as_fast_as_without<T: Database>() {
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    let without = takes(&store, "without").await;
    T::run(&log, &T::fill(MANY, "NULL", 0)).await;
    let beside = takes(&store, "beside").await;
    assert!(beside <= without * 4 + NOISE, "{without:?}, then {beside:?}");
}

async fn a_take_after_50_000_of_one_key_is_as_fast_as_without<T: Database>() {
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    let without = takes(&store, "without").await;
    store.receive(delivery("first", Some("hot"))).await.unwrap();
    T::run(&log, &T::fill(MANY, "'github:hot'", 3)).await;
    let first = take(&store, 1).await;
    let after = takes(&store, "after").await;
    assert!(after <= without * 4 + NOISE, "{without:?}, then {after:?}");
    // The first one's end frees the next one, and no more.
    let start = Instant::now();
    assert!(store.complete(&first[0].held).await.unwrap());
    assert!(start.elapsed() < NOISE * 10, "{:?}", start.elapsed());
    assert_eq!(take(&store, 10).await.len(), 1);
}

async fn a_sweep_beside_50_000_of_one_key_is_short<T: Database>() {
    let database = T::fresh().await;
    let (store, log) = (inbox(&database).await, database.open().await);
    T::run(&log, &T::fill(MANY, "'github:hot'", 3)).await;
    let start = Instant::now();
    assert_eq!(store.free_heads().await.unwrap(), 1);
    let first = start.elapsed();
    let start = Instant::now();
    assert_eq!(store.free_heads().await.unwrap(), 0);
    let second = start.elapsed();
    assert!(first < NOISE * 10 && second < NOISE * 5, "{first:?}, then {second:?}");
}
