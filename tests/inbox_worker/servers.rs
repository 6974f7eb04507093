//! The same workers over each database: order, failures and workers that die, on several processes.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferro_idem::__inbox::InboxStore;
use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, SignatureError};
use ferro_idem::{InboxDatabase, SqlLog, idempotent_webhook};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use serde_json::{Value, json};

use super::*;

const EVENTS: usize = 160;
const KEYS: usize = 8;
const LEASE: Duration = Duration::from_secs(1);

struct Own;

impl Sender for Own {
    type Event = Value;
    const NAME: &'static str = "own";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, _: &Delivery<'_>) -> Result<Value, SignatureError> {
        Err(SignatureError::NoSecret)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Value, PayloadError> {
        delivery.json()
    }
}

fn inbox<D: InboxDatabase>(log: SqlLog<D>) -> Inbox<D, Own> {
    Inbox::new(log, Own)
        .with_backoff(quick())
        .with_max_attempts(50)
        .with_order(|event| event["key"].as_u64().map(|key| key.to_string()))
}

#[derive(Default)]
struct Seen {
    running: Mutex<HashSet<u64>>,
    history: Mutex<Vec<(u64, u64)>>,
    overlaps: AtomicUsize,
    runs: AtomicUsize,
}

/// A body that runs, until it ends or is dropped with its worker.
struct Running(Arc<Seen>, u64);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.lock().unwrap().remove(&self.1);
    }
}

#[idempotent_webhook(claim(_c, lease = LEASE))]
async fn on_event<D: InboxDatabase>(log: SqlLog<D>, event: Value, seen: Arc<Seen>) -> Result<(), Error>
where
    SqlLog<D>: ferro_idem::ClaimLog,
{
    let (key, number) = (event["key"].as_u64().unwrap(), event["number"].as_u64().unwrap());
    if !seen.running.lock().unwrap().insert(key) {
        seen.overlaps.fetch_add(1, Ordering::SeqCst);
    }
    let _running = Running(Arc::clone(&seen), key);
    tokio::time::sleep(Duration::from_millis(2)).await;
    if seen.runs.fetch_add(1, Ordering::SeqCst) % 10 == 3 {
        return Err(Error::store("reach the bank", "it is closed"));
    }
    seen.history.lock().unwrap().push((key, number));
    Ok(())
}

fn start<D: InboxDatabase>(log: SqlLog<D>, seen: &Arc<Seen>) -> Run
where
    SqlLog<D>: ferro_idem::ClaimLog,
{
    let (inbox, seen) = (inbox(log.clone()), Arc::clone(seen));
    let worker = inbox.worker(move |event: Value| on_event(log.clone(), event, Arc::clone(&seen)));
    run(worker.with_lease(LEASE))
}

/// Two workers, one of which dies in the middle, while events arrive.
async fn story<D: InboxDatabase>(open: impl AsyncFn() -> SqlLog<D>)
where
    SqlLog<D>: ferro_idem::ClaimLog,
{
    let log = open().await;
    log.create_table().await.unwrap();
    let inbox = inbox(log.clone());
    inbox.create_tables().await.unwrap();
    let seen = Arc::new(Seen::default());
    let staying = start(log.clone(), &seen);
    let dying = start(open().await, &seen);
    for number in 0..EVENTS {
        let event = json!({"id": format!("evt_{number}"), "key": number % KEYS, "number": number / KEYS});
        let receipt = inbox.add(&Delivery::new(event.to_string().as_bytes())).await.unwrap();
        assert_eq!(receipt.status(), 202);
        if number == EVENTS / 2 {
            dying.ended.abort();
        }
    }
    let store = InboxStore::new(&log, "own");
    until(async || {
        let counts = store.counts().await.unwrap();
        (counts.waiting, counts.running, counts.parked) == (0, 0, 0)
    })
    .await;
    staying.stop().await;
    assert_eq!(seen.overlaps.load(Ordering::SeqCst), 0, "two of one key ran at once");
    let mut of_key: HashMap<u64, Vec<u64>> = HashMap::new();
    for (key, number) in seen.history.lock().unwrap().iter().copied() {
        of_key.entry(key).or_default().push(number);
    }
    for (key, mut numbers) in of_key {
        // A worker that died after the body and before the completion of its claim runs the body twice.
        numbers.dedup();
        assert_eq!(numbers, (0..(EVENTS / KEYS) as u64).collect::<Vec<_>>(), "key {key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_stay_in_order_when_a_worker_dies_on_sqlite() {
    let folder = TempDir::new().unwrap();
    story(async || open_sqlite(folder.path(), 4).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn keys_stay_in_order_when_a_worker_dies_on_postgres() {
    let url = Postgres::shared().await.fresh_database().await;
    story(async || SqlLog::new(sqlx::PgPool::connect(&url).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB"]
async fn keys_stay_in_order_when_a_worker_dies_on_mariadb() {
    let url = MariaDb::shared().await.fresh_database().await;
    story(async || SqlLog::new(sqlx::MySqlPool::connect(&url).await.unwrap())).await;
}
