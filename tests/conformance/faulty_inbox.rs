//! A small inbox in a map that keeps every promise except the one that a test chooses.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ferro_idem::__inbox::{Counts, Held, NewDelivery, Received, TakeLimits, Taken, TakenBatch, UsedUp};
use ferro_idem::conformance::{Ending, Store, TestedInbox};
use ferro_idem::{Error, Owner, Ownership};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InboxDefect {
    // Of what is stored.
    FoldsCase,
    CutsIds,
    BindsByHand,
    LooksThenStores,
    ForgetsProcessed,
    ForgetsParked,
    StoresInTwoSteps,
    IgnoresRollback,
    MixesBodiesUp,
    KeepsBodies,
    PurgesAll,
    ForgetsOnRestart,
    // Of what is taken.
    LooksThenTakes,
    TakesAll,
    TakesParked,
    NeverTakesAgain,
    IgnoresBackoff,
    CountsReleases,
    NeverParks,
    CountsADroppedTake,
    LosesADroppedStep,
    // Of leases.
    TokenStays,
    CompletesForAnyone,
    ParksForAnyone,
    BacksOffForAnyone,
    RenewsForAnyone,
    OwnerAlone,
    TokenAlone,
    RenewsNothing,
    // Of order keys.
    IgnoresOrder,
    OrderEndsWithALease,
    OneKeyForAll,
    ParkedBlocks,
    StrictIsIgnored,
}

use InboxDefect as Defect;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { due: Instant },
    Running { until: Instant },
    Parked,
}

#[derive(Clone)]
struct Row {
    delivery: NewDelivery,
    state: State,
    attempts: u32,
    held: Option<Ownership>,
    token: u64,
}

#[derive(Default)]
struct Tables {
    seen: HashSet<String>,
    rows: BTreeMap<i64, Row>,
    /// Of events that are gone.
    bodies_left: u64,
    last: i64,
}

#[derive(Clone)]
pub(crate) struct FaultyInbox {
    tables: Arc<Mutex<Tables>>,
    defect: Option<Defect>,
    is_strict: bool,
}

impl FaultyInbox {
    pub(crate) fn new(defect: impl Into<Option<Defect>>) -> Self {
        Self { tables: Arc::default(), defect: defect.into(), is_strict: false }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    fn key(&self, id: &str) -> String {
        match self.defect {
            Some(Defect::FoldsCase) => id.to_lowercase(),
            Some(Defect::CutsIds) => id.chars().take(100).collect(),
            Some(Defect::BindsByHand) if ["$1", "?"].contains(&id) => "a placeholder".into(),
            _ => id.to_owned(),
        }
    }

    fn store(&self, delivery: NewDelivery) {
        let mut tables = self.tables();
        tables.last += 1;
        let seq = tables.last;
        let state = State::Waiting { due: Instant::now() };
        tables.rows.insert(seq, Row { delivery, state, attempts: 0, held: None, token: 0 });
    }

    /// Whether a row may run now.
    fn may_run(&self, tables: &Tables, seq: i64, now: Instant) -> bool {
        let row = &tables.rows[&seq];
        let is_due = match row.state {
            State::Waiting { due } => due <= now,
            State::Running { until } => until <= now,
            State::Parked => self.has(Defect::TakesParked),
        };
        let blocks = |other: &Row| match other.state {
            State::Parked => {
                self.has(Defect::ParkedBlocks) || self.is_strict && !self.has(Defect::StrictIsIgnored)
            }
            State::Running { until } => until > now || !self.has(Defect::OrderEndsWithALease),
            State::Waiting { .. } => !self.has(Defect::OrderEndsWithALease),
        };
        let mut before = tables.rows.range(..seq).map(|(_, other)| other);
        let is_blocked = before.any(|other| {
            let same = row.delivery.order_key == other.delivery.order_key || self.has(Defect::OneKeyForAll);
            same && row.delivery.order_key.is_some() && other.delivery.order_key.is_some() && blocks(other)
        });
        is_due && (!is_blocked || self.has(Defect::IgnoresOrder))
    }

    fn take_one(&self, tables: &mut Tables, seq: i64, limits: TakeLimits, batch: &mut TakenBatch) {
        let keeps_token = self.has(Defect::TokenStays);
        let Some(row) = tables.rows.get_mut(&seq) else { return };
        if row.attempts >= limits.max_attempts && !self.has(Defect::NeverParks) {
            row.state = State::Parked;
            batch.parked.push(UsedUp { event_id: row.delivery.event_id.to_string(), attempts: row.attempts });
            return;
        }
        row.attempts += 1;
        row.token += u64::from(!keeps_token || row.token == 0);
        let ownership = Ownership { owner: Owner::random().unwrap(), token: row.token };
        row.held = Some(ownership);
        let now = Instant::now();
        row.state = State::Running { until: now + limits.lease };
        let stored = if self.has(Defect::MixesBodiesUp) { Vec::new() } else { row.delivery.stored.to_vec() };
        batch.taken.push(Taken {
            held: Held { seq, event_id: Arc::clone(&row.delivery.event_id), ownership },
            event_type: row.delivery.event_type.to_string(),
            order_key: row.delivery.order_key.as_deref().map(str::to_owned),
            attempts: row.attempts,
            lease_until: tokio::time::Instant::from_std(now + limits.lease),
            stored,
        });
    }

    /// Changes the row that is held.
    fn step(&self, held: &Held, for_anyone: Defect, change: impl FnOnce(&mut Tables, i64)) -> bool {
        let mut tables = self.tables();
        let Some(row) = tables.rows.get(&held.seq) else { return false };
        let is_holder = row.held.is_some_and(|holder| match self.defect {
            Some(Defect::OwnerAlone) => holder.owner == held.ownership.owner,
            Some(Defect::TokenAlone) => holder.token == held.ownership.token,
            _ => holder == held.ownership,
        });
        let is_running = matches!(row.state, State::Running { .. });
        let may = is_running && (is_holder || self.has(for_anyone));
        if may {
            change(&mut tables, held.seq);
        }
        may
    }

    fn update(&self, held: &Held, for_anyone: Defect, change: impl FnOnce(&mut Row)) -> bool {
        self.step(held, for_anyone, |tables, seq| {
            if let Some(row) = tables.rows.get_mut(&seq) {
                change(row);
            }
        })
    }

    /// A step in two parts: between them, its caller may be gone.
    async fn pause(&self, held: &Held) {
        if self.has(Defect::LosesADroppedStep) {
            let row = self.tables().rows.remove(&held.seq);
            tokio::task::yield_now().await;
            self.tables().rows.extend(row.map(|row| (held.seq, row)));
        }
    }
}

/// Makes what was taken wait again, with the attempt that was counted.
struct GivenBack<'i>(&'i FaultyInbox, TakenBatch);

impl GivenBack<'_> {
    fn keep(mut self) -> TakenBatch {
        std::mem::take(&mut self.1)
    }
}

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        for taken in &self.1.taken {
            if let Some(row) = self.0.tables().rows.get_mut(&taken.held.seq) {
                row.state = State::Waiting { due: Instant::now() };
            }
        }
    }
}

#[async_trait]
impl TestedInbox for FaultyInbox {
    fn strict(self) -> Self {
        Self { is_strict: true, ..self }
    }

    async fn receive(&self, delivery: NewDelivery) -> Result<Received, Error> {
        let key = self.key(&delivery.event_id);
        if self.has(Defect::LooksThenStores) {
            let is_seen = self.tables().seen.contains(&key);
            tokio::time::sleep(Duration::from_millis(1)).await;
            if is_seen {
                return Ok(Received::Duplicate);
            }
            self.tables().seen.insert(key);
        } else if !self.tables().seen.insert(key) {
            return Ok(Received::Duplicate);
        }
        if self.has(Defect::StoresInTwoSteps) {
            tokio::task::yield_now().await;
        }
        self.store(delivery);
        Ok(Received::First)
    }

    async fn put(&self, delivery: NewDelivery, ending: Ending) -> Result<Received, Error> {
        if ending == Ending::Commit || self.has(Defect::IgnoresRollback) {
            return self.receive(delivery).await;
        }
        let is_seen = self.tables().seen.contains(&self.key(&delivery.event_id));
        Ok(if is_seen { Received::Duplicate } else { Received::First })
    }

    async fn take(&self, limits: TakeLimits) -> Result<TakenBatch, Error> {
        let mut batch = TakenBatch::default();
        if self.has(Defect::LooksThenTakes) {
            let now = Instant::now();
            let due: Vec<i64> = {
                let tables = self.tables();
                tables.rows.keys().copied().filter(|seq| self.may_run(&tables, *seq, now)).collect()
            };
            tokio::time::sleep(Duration::from_millis(1)).await;
            for seq in due.into_iter().take(limits.events as usize) {
                self.take_one(&mut self.tables(), seq, limits, &mut batch);
            }
            return Ok(batch);
        }
        {
            let mut tables = self.tables();
            let seqs: Vec<i64> = tables.rows.keys().copied().collect();
            for seq in seqs {
                let is_full = batch.taken.len() >= limits.events as usize && !self.has(Defect::TakesAll);
                if !is_full && self.may_run(&tables, seq, Instant::now()) {
                    self.take_one(&mut tables, seq, limits, &mut batch);
                }
            }
        }
        if self.has(Defect::CountsADroppedTake) {
            let given_back = GivenBack(self, batch);
            tokio::task::yield_now().await;
            return Ok(given_back.keep());
        }
        Ok(batch)
    }

    async fn renew(&self, held: &Held, lease: Duration) -> Result<bool, Error> {
        self.pause(held).await;
        Ok(self.update(held, Defect::RenewsForAnyone, |row| {
            if !self.has(Defect::RenewsNothing) {
                row.state = State::Running { until: Instant::now() + lease };
            }
        }))
    }

    async fn complete(&self, held: &Held) -> Result<bool, Error> {
        self.pause(held).await;
        Ok(self.step(held, Defect::CompletesForAnyone, |tables, seq| {
            let row = tables.rows.remove(&seq);
            tables.bodies_left += u64::from(self.has(Defect::KeepsBodies));
            if self.has(Defect::ForgetsProcessed)
                && let Some(row) = row
            {
                tables.seen.remove(&*row.delivery.event_id);
            }
        }))
    }

    async fn back_off(&self, held: &Held, after: Duration, _: &str) -> Result<bool, Error> {
        self.pause(held).await;
        Ok(self.step(held, Defect::BacksOffForAnyone, |tables, seq| {
            if self.has(Defect::NeverTakesAgain) {
                tables.rows.remove(&seq);
                return;
            }
            let Some(row) = tables.rows.get_mut(&seq) else { return };
            let after = if self.has(Defect::IgnoresBackoff) { Duration::ZERO } else { after };
            row.state = State::Waiting { due: Instant::now() + after };
        }))
    }

    async fn park(&self, held: &Held, _: &str) -> Result<bool, Error> {
        self.pause(held).await;
        Ok(self.step(held, Defect::ParksForAnyone, |tables, seq| {
            let Some(row) = tables.rows.get_mut(&seq) else { return };
            row.state = State::Parked;
            let id = row.delivery.event_id.to_string();
            if self.has(Defect::ForgetsParked) {
                tables.seen.remove(&id);
            }
        }))
    }

    async fn release(&self, held: &Held) -> Result<bool, Error> {
        self.pause(held).await;
        Ok(self.update(held, Defect::BacksOffForAnyone, |row| {
            row.state = State::Waiting { due: Instant::now() };
            row.attempts -= u32::from(!self.has(Defect::CountsReleases));
        }))
    }

    async fn free_heads(&self) -> Result<u64, Error> {
        Ok(0)
    }

    async fn purge(&self, _: Duration) -> Result<u64, Error> {
        let mut tables = self.tables();
        let before = tables.seen.len();
        let kept: HashSet<String> = if self.has(Defect::PurgesAll) {
            HashSet::new()
        } else {
            tables.rows.values().map(|row| row.delivery.event_id.to_string()).collect()
        };
        tables.seen.retain(|id| kept.contains(id));
        Ok((before - tables.seen.len()) as u64)
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let tables = self.tables();
        let count = |is: fn(&State) -> bool| tables.rows.values().filter(|row| is(&row.state)).count() as u64;
        Ok(Counts {
            waiting: count(|state| matches!(state, State::Waiting { .. })),
            running: count(|state| matches!(state, State::Running { .. })),
            parked: count(|state| *state == State::Parked),
            oldest: None,
        })
    }
}

impl Store for FaultyInbox {
    type Log = Self;

    async fn open(&self) -> Self {
        self.clone()
    }

    async fn restart(&self) -> bool {
        if self.has(Defect::ForgetsOnRestart) {
            *self.tables() = Tables::default();
        }
        true
    }

    async fn bodies(&self, _: &Self) -> Option<u64> {
        let tables = self.tables();
        Some(tables.rows.len() as u64 + tables.bodies_left)
    }
}
