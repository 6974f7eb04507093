//! The queue of marks and claims whose callers do not know of them. They are taken back until they are known to be
//! gone.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::owner::Owner;

/// Clients must not control how much memory an outage takes. While the queue is full, the log makes no new marks and
/// claims, so that every one without a caller can be taken back.
pub(super) const MAX_WAITING: usize = 16_384;

/// If a task was not active for this long, its runtime is not driven.
const MAX_INACTIVE: Duration = Duration::from_secs(30);

/// The longest pause after the server did not answer or refused.
const PAUSE: Duration = Duration::from_millis(500);

/// What a call may have made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made {
    Mark,
    Claim { lease: Duration },
}

/// The outcome of a claim whose owner already held the event.
pub(super) const HELD_BEFORE: i64 = 3;

impl Made {
    /// Whether a script's outcome says that it was made.
    pub(super) fn is_made(self, outcome: i64) -> bool {
        match self {
            Self::Mark => outcome == 1,
            Self::Claim { .. } => outcome == 0 || outcome == HELD_BEFORE,
        }
    }
}

/// A call whose caller does not know whether the server executed it.
#[derive(Clone, Debug)]
pub(super) struct TakeBack {
    pub(super) key: Vec<u8>,
    pub(super) owner: Owner,
    pub(super) made: Made,
    /// Until when the server may execute the call, on the server's clock.
    pub(super) deadline: u64,
    /// About the same moment on this machine's clock.
    pub(super) passes_at: Instant,
    /// The retention: after it, the server has forgotten the event anyway.
    pub(super) remembered_for: Duration,
    /// The server was asked once. What existed then is gone, but the server may still execute the call.
    pub(super) is_looked_for: bool,
}

impl TakeBack {
    fn is_unseen_mark(&self) -> bool {
        matches!(self.made, Made::Mark) && !self.is_looked_for
    }

    /// Records that the server has answered at `now` on its clock, and will not execute the call again.
    pub(super) fn is_known_to_be_made(&mut self, now: u64) {
        // A later claim with the same owner has a later lease, and is kept.
        self.deadline = now.saturating_add(1);
        self.passes_at = Instant::now();
    }
}

/// When an entry is due. The number distinguishes entries of the same moment.
pub(super) type Due = (Instant, u64);

/// The calls to take back, and the state of the task that does it.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    queue: Mutex<Queue>,
    pub(super) added: Notify,
    /// Whether the task pauses until a call has an answer.
    pauses: AtomicBool,
    answered: Notify,
    looked_for: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) by_due: BTreeMap<Due, TakeBack>,
    /// The number of marks for each key that were not looked up yet.
    unseen: HashMap<Vec<u8>, usize>,
    number: u64,
    /// When the task was last active; `None` without a task.
    pub(super) task_active_at: Option<Instant>,
}

impl Queue {
    pub(super) fn add(&mut self, due: Instant, take_back: TakeBack) {
        self.number += 1;
        if take_back.is_unseen_mark() {
            *self.unseen.entry(take_back.key.clone()).or_default() += 1;
        }
        self.by_due.insert((due, self.number), take_back);
    }

    fn remove(&mut self, due: Due) -> Option<TakeBack> {
        let take_back = self.by_due.remove(&due)?;
        if take_back.is_unseen_mark()
            && let Some(number) = self.unseen.get_mut(&take_back.key)
        {
            *number -= 1;
            if *number == 0 {
                self.unseen.remove(&take_back.key);
            }
        }
        Some(take_back)
    }

    /// Whether the caller has to start a task.
    pub(super) fn needs_task(&mut self) -> bool {
        let is_active = self.task_active_at.is_some_and(|at| at.elapsed() < MAX_INACTIVE);
        let needs_task = !self.by_due.is_empty() && !is_active && Handle::try_current().is_ok();
        if needs_task {
            self.task_active_at = Some(Instant::now());
        }
        needs_task
    }
}

impl Undelivered {
    /// Ends a pause, because a call was answered. Senders that were answered with an error come back soon, and the
    /// marks of their first deliveries have to be gone by then.
    pub(super) fn hear(&self) {
        if self.pauses.load(Ordering::Relaxed) {
            self.answered.notify_one();
        }
    }

    /// Waits until every mark of this key was looked up once, so that a delivery is not answered as a duplicate of one.
    pub(super) async fn until_looked_for(&self, key: &[u8], is_over: impl Fn() -> bool) {
        loop {
            let mut looked_for = pin!(self.looked_for.notified());
            // A notification from here on wakes this call.
            looked_for.as_mut().enable();
            if !self.queue().unseen.contains_key(key) || is_over() {
                return;
            }
            drop(timeout(PAUSE, looked_for).await);
        }
    }

    pub(super) async fn pause(&self) {
        self.pauses.store(true, Ordering::Relaxed);
        drop(timeout(PAUSE, self.answered.notified()).await);
        self.pauses.store(false, Ordering::Relaxed);
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns entries that are due, or when the next one is. They stay in the queue until they are known to be gone,
    /// because the task may end with its runtime.
    pub(super) fn due(&self, limit: usize) -> Result<Vec<(Due, TakeBack)>, Option<Instant>> {
        let mut queue = self.queue();
        let now = Instant::now();
        queue.task_active_at = Some(now);
        let due: Vec<_> = queue
            .by_due
            .iter()
            .take_while(|((at, _), _)| *at <= now)
            .take(limit)
            .map(|(due, take_back)| (*due, take_back.clone()))
            .collect();
        if due.is_empty() { Err(queue.by_due.keys().next().map(|(at, _)| *at)) } else { Ok(due) }
    }

    /// Removes an entry, or puts it back until `until`.
    pub(super) fn put_off(&self, due: Due, until: Option<Instant>, is_looked_for: bool) {
        let mut queue = self.queue();
        if let Some(mut take_back) = queue.remove(due)
            && let Some(until) = until
        {
            take_back.is_looked_for |= is_looked_for;
            queue.add(until, take_back);
        }
        drop(queue);
        if is_looked_for {
            self.looked_for.notify_waiters();
        }
    }
}
