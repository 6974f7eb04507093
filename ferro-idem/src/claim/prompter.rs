//! The thread that prompts renewals on time.
//!
//! A renewal is a task. On a runtime with several workers, a task alone is not enough:
//!
//! - A task that a worker spawns stays in that worker's slot for the next task. If the body then blocks the
//!   worker, no other worker takes the task from there.
//! - A worker that was waiting for sockets and timers may be the one that runs the body. If the body blocks it,
//!   nobody looks at sockets and timers until something wakes another worker
//!   (<https://github.com/tokio-rs/tokio/issues/4730>).
//!
//! A task that is spawned from outside the runtime wakes an idle worker. So one thread of the process spawns
//! the task that renews, and then, while the body runs, an empty task from time to time. If a body ends
//! within a third of its lease, it costs an entry in a map and no task.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The thread ends if there is no lease for so long.
const IDLE: Duration = Duration::from_secs(10);

/// When a renewal is prompted next. The number distinguishes renewals that are due at the same moment.
pub(super) type Due = (Instant, u64);

/// A renewal, as the thread sees it.
pub(super) trait Prompted: Send + Sync {
    fn prompt(self: Arc<Self>);

    /// The time between two prompts.
    fn interval(&self) -> Duration;

    /// The key of its entry in the schedule. Changed only under the schedule's lock.
    fn due(&self) -> MutexGuard<'_, Option<Due>>;
}

pub(super) static PROMPTER: Prompter = Prompter {
    schedule: Mutex::new(Schedule { renewals: BTreeMap::new(), last_number: 0, wakes_at: None }),
    changed: Condvar::new(),
};

pub(super) struct Prompter {
    schedule: Mutex<Schedule>,
    changed: Condvar,
}

struct Schedule {
    /// Invariant: each renewal knows the key of its entry.
    renewals: BTreeMap<Due, Arc<dyn Prompted>>,
    last_number: u64,
    /// `None` if no thread is running.
    wakes_at: Option<Instant>,
}

impl Prompter {
    /// Prompts this renewal from that moment on, until it is forgotten. Returns `false` if no thread can be
    /// started.
    pub(super) fn prompt_from(&'static self, first: Instant, renewal: Arc<dyn Prompted>) -> bool {
        let mut schedule = self.lock();
        match schedule.wakes_at {
            Some(wakes_at) if wakes_at <= first => {}
            Some(_) => self.changed.notify_one(),
            None => {
                let thread = thread::Builder::new().name("ferro-idem".to_owned()).spawn(|| self.run());
                if thread.is_err() {
                    return false;
                }
                schedule.wakes_at = Some(first);
            }
        }
        schedule.insert(first, renewal);
        true
    }

    pub(super) fn forget(&self, renewal: &dyn Prompted) {
        let mut schedule = self.lock();
        if let Some(due) = renewal.due().take() {
            schedule.renewals.remove(&due);
        }
    }

    fn run(&self) {
        let mut schedule = self.lock();
        loop {
            let now = Instant::now();
            let due = schedule.take_due(now);
            if !due.is_empty() {
                drop(schedule);
                for renewal in due {
                    renewal.prompt();
                }
                schedule = self.lock();
                continue;
            }
            let next = schedule.renewals.first_key_value().map(|((next, _), _)| *next);
            let wakes_at = next.unwrap_or_else(|| now + IDLE);
            schedule.wakes_at = Some(wakes_at);
            let (woken, timeout) = self
                .changed
                .wait_timeout(schedule, wakes_at.saturating_duration_since(now))
                .unwrap_or_else(PoisonError::into_inner);
            schedule = woken;
            if timeout.timed_out() && next.is_none() && schedule.renewals.is_empty() {
                schedule.wakes_at = None;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Schedule {
    fn insert(&mut self, next: Instant, renewal: Arc<dyn Prompted>) {
        self.last_number += 1;
        let due = (next, self.last_number);
        *renewal.due() = Some(due);
        self.renewals.insert(due, renewal);
    }

    /// Takes the renewals that are due, and schedules each one again.
    fn take_due(&mut self, now: Instant) -> Vec<Arc<dyn Prompted>> {
        let mut taken = Vec::new();
        while let Some(entry) = self.renewals.first_entry()
            && entry.key().0 <= now
        {
            taken.push(entry.remove());
        }
        for renewal in &taken {
            self.insert(now + renewal.interval(), Arc::clone(renewal));
        }
        taken
    }
}
