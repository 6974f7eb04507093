//! An inbox in memory, for tests on a paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::queue::Queue;
use crate::claim::Ownership;
use crate::error::Error;
use crate::inbox::delivery::{Held, TakeLimits, Taken, TakenBatch, UsedUp};
use crate::inbox::stored::Stored;
use crate::owner::Owner;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    Parked,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) event_id: Arc<str>,
    order_key: Option<String>,
    stored: Vec<u8>,
    pub(super) state: State,
    pub(super) due: Instant,
    pub(super) attempts: u32,
    pub(super) ownership: Ownership,
    pub(super) last_error: Option<String>,
}

#[derive(Default)]
pub(super) struct Double {
    rows: Mutex<BTreeMap<i64, Row>>,
    pub(super) processed: Mutex<Vec<String>>,
    wake: Notify,
    pub(super) faults: Mutex<Faults>,
    pub(super) takes: Mutex<Vec<u32>>,
}

/// What goes wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// So many of the next takes fail.
    pub(super) takes: u32,
    pub(super) is_permanent: bool,
    /// So many of the next completions fail.
    pub(super) completions: u32,
    /// Every renewal is refused.
    pub(super) renewals: bool,
    /// Takes last so long.
    pub(super) take_time: Duration,
}

impl Double {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn rows(&self) -> MutexGuard<'_, BTreeMap<i64, Row>> {
        self.rows.lock().unwrap()
    }

    /// Receives an event whose body is its id as JSON.
    pub(super) fn receive(&self, event_id: &str, order_key: Option<&str>) {
        let body = serde_json::json!({"id": event_id}).to_string();
        let stored = Stored { sender: "test", headers: Vec::new(), body: body.as_bytes() }.encode();
        self.receive_stored(event_id, order_key, stored);
    }

    pub(super) fn receive_stored(&self, event_id: &str, order_key: Option<&str>, stored: Vec<u8>) {
        let mut rows = self.rows();
        let seq = rows.last_key_value().map_or(0, |(seq, _)| *seq) + 1;
        rows.insert(
            seq,
            Row {
                event_id: event_id.into(),
                order_key: order_key.map(str::to_owned),
                stored,
                state: State::Waiting,
                due: Instant::now(),
                attempts: 0,
                ownership: Ownership { owner: Owner::from_bytes([0; 16]), token: 0 },
                last_error: None,
            },
        );
        self.wake.notify_one();
    }

    /// The event's row. `None` if it is processed.
    pub(super) fn row(&self, event_id: &str) -> Option<Row> {
        self.rows().values().find(|row| &*row.event_id == event_id).cloned()
    }

    /// Waits until this holds.
    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            sleep((start.elapsed() / 200).max(Duration::from_millis(1))).await;
        }
    }

    /// Another worker takes the event over.
    pub(super) fn steal(&self, event_id: &str) {
        let mut rows = self.rows();
        let row = rows.values_mut().find(|row| &*row.event_id == event_id).unwrap();
        row.ownership.token += 1;
        row.due = Instant::now() + Duration::from_mins(1);
    }

    fn step(&self, held: &Held, change: impl FnOnce(&mut BTreeMap<i64, Row>, i64)) -> bool {
        let mut rows = self.rows();
        let is_held = rows
            .get(&held.seq)
            .is_some_and(|row| row.ownership == held.ownership && row.state == State::Running);
        if is_held {
            change(&mut rows, held.seq);
        }
        is_held
    }

    fn update(&self, held: &Held, change: impl FnOnce(&mut Row)) -> bool {
        self.step(held, |rows, seq| change(rows.get_mut(&seq).unwrap()))
    }
}

#[async_trait]
impl Queue for Double {
    async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error> {
        let asked_at = Instant::now();
        let take_time = self.faults.lock().unwrap().take_time;
        if !take_time.is_zero() {
            sleep(take_time).await;
        }
        self.takes.lock().unwrap().push(limits.events);
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.takes > 0 {
                faults.takes -= 1;
                return Err(Error::store("take events", "connection refused"));
            }
        }
        let now = Instant::now();
        let mut rows = self.rows();
        let mut batch = TakenBatch::default();
        let mut blocked: Vec<String> = rows
            .values()
            .filter(|row| row.state == State::Running && row.due > now)
            .filter_map(|row| row.order_key.clone())
            .collect();
        for (seq, row) in rows.iter_mut() {
            if batch.taken.len() >= limits.events as usize || row.state == State::Parked {
                continue;
            }
            let is_blocked = row.order_key.as_ref().is_some_and(|key| blocked.contains(key));
            blocked.extend(row.order_key.clone());
            if row.due > now || is_blocked {
                continue;
            }
            if row.attempts >= limits.max_attempts {
                row.state = State::Parked;
                batch.parked.push(UsedUp { event_id: row.event_id.to_string(), attempts: row.attempts });
                continue;
            }
            row.state = State::Running;
            row.attempts += 1;
            row.ownership = Ownership { owner: Owner::random()?, token: row.ownership.token + 1 };
            row.due = now + limits.lease;
            batch.taken.push(Taken {
                held: Held { seq: *seq, event_id: Arc::clone(&row.event_id), ownership: row.ownership },
                event_type: "test".to_owned(),
                order_key: row.order_key.clone(),
                attempts: row.attempts,
                lease_until: asked_at + limits.lease,
                stored: row.stored.clone(),
            });
        }
        Ok(batch)
    }

    async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error> {
        if self.faults.lock().unwrap().renewals {
            return Err(Error::store("renew the lease", "no answer"));
        }
        Ok(self.update(held, |row| row.due = Instant::now() + lease))
    }

    async fn complete(&self, held: &Held) -> Result<bool, Error> {
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.completions > 0 {
                faults.completions -= 1;
                return Err(Error::store("complete the event", "no answer"));
            }
        }
        Ok(self.step(held, |rows, seq| {
            let row = rows.remove(&seq).unwrap();
            self.processed.lock().unwrap().push(row.event_id.to_string());
        }))
    }

    async fn back_off(&self, held: &Held, after: Duration, error: &str) -> Result<bool, Error> {
        Ok(self.update(held, |row| {
            row.state = State::Waiting;
            row.due = Instant::now() + after;
            row.last_error = Some(error.to_owned());
        }))
    }

    async fn park(&self, held: &Held, error: &str) -> Result<bool, Error> {
        Ok(self.update(held, |row| {
            row.state = State::Parked;
            row.last_error = Some(error.to_owned());
        }))
    }

    async fn release(&self, held: &Held) -> Result<bool, Error> {
        Ok(self.update(held, |row| {
            row.state = State::Waiting;
            row.due = Instant::now();
            row.attempts -= 1;
        }))
    }

    async fn free_heads(&self) -> Result<u64, Error> {
        Ok(0)
    }

    async fn woken(&self) {
        self.wake.notified().await;
    }

    fn is_permanent(&self, _: &Error) -> bool {
        self.faults.lock().unwrap().is_permanent
    }
}
