//! Several workers with failures and abandoned leases: no two events of a key run at once, none before an earlier one,
//! and none is left.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferro_idem::__inbox::{Counts, InboxDatabase, InboxStore, TakeLimits, Taken};
use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::databases::{Database, delivery, inbox};

on_every_database!(events_of_a_key_run_one_by_one_in_order);

const WORKERS: u32 = 6;
const KEYS: u32 = 24;
const EVENTS_OF_A_KEY: u32 = 25;

/// Longer than a body takes on a busy machine, and short enough for a test that waits for abandoned ones.
const LEASE: Duration = Duration::from_millis(1500);

/// What the bodies saw of one key.
#[derive(Debug, Default)]
struct Key {
    is_running: bool,
    /// The number of the last event whose body was done.
    done: u32,
}

#[derive(Debug, Default)]
struct History {
    keys: Mutex<HashMap<String, Key>>,
    broken: Mutex<Vec<String>>,
    completed: AtomicU32,
}

impl History {
    fn begin(&self, key: &str, number: u32) {
        let mut keys = self.keys.lock().unwrap();
        let of_key = keys.entry(key.to_owned()).or_default();
        if of_key.is_running {
            self.broken.lock().unwrap().push(format!("{key}: {number} runs beside another"));
        }
        // One whose completion was lost runs again.
        if number != of_key.done + 1 && number != of_key.done {
            self.broken.lock().unwrap().push(format!("{key}: {number} begins after {}", of_key.done));
        }
        of_key.is_running = true;
    }

    fn end(&self, key: &str, number: u32, is_done: bool) {
        let mut keys = self.keys.lock().unwrap();
        let of_key = keys.entry(key.to_owned()).or_default();
        of_key.is_running = false;
        if is_done {
            of_key.done = of_key.done.max(number);
        }
    }
}

async fn events_of_a_key_run_one_by_one_in_order<T: Database>() {
    let database = T::fresh().await;
    let history = Arc::new(History::default());
    let mut tasks = JoinSet::new();
    let receiver = inbox(&database).await;
    for key in 0..KEYS {
        let store = receiver.clone();
        tasks.spawn(async move {
            let key = format!("key_{key}");
            for number in 1..=EVENTS_OF_A_KEY {
                store.receive(delivery(&format!("{key}/{number}"), Some(&key))).await.unwrap();
            }
        });
    }
    for _ in 0..WORKERS {
        let (store, history) = (inbox(&database).await, Arc::clone(&history));
        tasks.spawn(async move { work(&store, &history).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let broken = history.broken.lock().unwrap().clone();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(receiver.counts().await.unwrap(), Counts::default());
    let keys = history.keys.lock().unwrap();
    assert!(keys.len() == KEYS as usize && keys.values().all(|key| key.done == EVENTS_OF_A_KEY), "{keys:?}");
}

async fn work<D: InboxDatabase>(store: &InboxStore<D>, history: &History) {
    let limits = TakeLimits { events: 16, lease: LEASE, max_attempts: u32::MAX };
    while history.completed.load(Ordering::SeqCst) < KEYS * EVENTS_OF_A_KEY {
        let taken = store.take(limits).await.unwrap().taken;
        if taken.is_empty() {
            store.free_heads().await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
        for taken in taken {
            run(store, history, &taken).await;
        }
    }
}

async fn run<D: InboxDatabase>(store: &InboxStore<D>, history: &History, taken: &Taken) {
    if Instant::now() + LEASE / 2 >= taken.lease_until {
        // Another worker may have it.
        store.release(&taken.held).await.unwrap();
        return;
    }
    let (key, number) = taken.held.event_id.split_once('/').unwrap();
    let number = number.parse().unwrap();
    history.begin(key, number);
    tokio::task::yield_now().await;
    let (fails, is_abandoned) = (rand::rng().random_ratio(1, 10), rand::rng().random_ratio(1, 100));
    history.end(key, number, !fails && !is_abandoned);
    if is_abandoned {
        return;
    }
    if fails {
        let after = Duration::from_millis(rand::rng().random_range(0..20));
        store.back_off(&taken.held, after, "failed").await.unwrap();
    } else if store.complete(&taken.held).await.unwrap() {
        history.completed.fetch_add(1, Ordering::SeqCst);
    }
}
