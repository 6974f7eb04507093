//! Marks and claims whose callers do not know of them: taken back until it is known that they are gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::script::TAKE_BACK;
use super::{Connection, RedisLog, millis};
use crate::owner::Owner;
use crate::retry::ANSWER_WITHIN;

/// Clients must not decide how much memory an outage takes. While so many wait, the log makes no new marks and claims, so
/// that each one without a caller is taken back.
const MAX_WAITING: usize = 16_384;

/// How many are asked for at the same time.
const MAX_AT_ONCE: usize = 64;

/// A task that was not active for so long has a runtime that is not driven.
const MAX_INACTIVE: Duration = Duration::from_secs(30);

/// The longest pause after a server did not answer, or refused.
const PAUSE: Duration = Duration::from_millis(500);

/// What a call may have made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made {
    Mark,
    Claim { lease: Duration },
}

impl Made {
    /// What a script's outcome says.
    pub(super) fn is_made(self, outcome: i64) -> bool {
        match self {
            Self::Mark => outcome == 1,
            Self::Claim { .. } => outcome == 0,
        }
    }
}

/// A call whose caller does not know whether it was carried out.
#[derive(Clone, Debug)]
pub(super) struct TakeBack {
    pub(super) key: Vec<u8>,
    pub(super) owner: Owner,
    pub(super) made: Made,
    /// Until when the server may carry the call out, on its clock.
    pub(super) deadline: u64,
    /// When that is on this machine's clock, about.
    pub(super) passes_at: Instant,
    /// After this, the server has forgotten the event anyway.
    pub(super) remembered_for: Duration,
}

impl TakeBack {
    /// The server has answered, and will not carry the call out again. Its clock showed `now` then.
    pub(super) fn is_known_to_be_made(&mut self, now: u64) {
        // A later claim of the same owner has a later lease, and is kept.
        self.deadline = now.saturating_add(1);
        self.passes_at = Instant::now();
    }
}

/// When an entry is looked at next. The number tells entries of one moment apart.
type Due = (Instant, u64);

/// The calls to take back, and the one task that does it.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    queue: Mutex<Queue>,
    added: Notify,
    /// The task pauses, until a call has an answer.
    pauses: AtomicBool,
    answered: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    by_due: BTreeMap<Due, TakeBack>,
    number: u64,
    /// When the task was last active. `None`: there is none.
    task_active_at: Option<Instant>,
}

impl Queue {
    fn add(&mut self, due: Instant, take_back: TakeBack) {
        self.number += 1;
        self.by_due.insert((due, self.number), take_back);
    }

    /// Whether the caller has to start a task now.
    fn needs_task(&mut self) -> bool {
        let is_active = self.task_active_at.is_some_and(|at| at.elapsed() < MAX_INACTIVE);
        let needs_task = !self.by_due.is_empty() && !is_active && Handle::try_current().is_ok();
        if needs_task {
            self.task_active_at = Some(Instant::now());
        }
        needs_task
    }
}

impl Undelivered {
    /// A call has an answer: senders that were answered with an error come back soon, and must find nothing that is
    /// to be taken back.
    pub(super) fn hear(&self) {
        if self.pauses.load(Ordering::Relaxed) {
            self.answered.notify_one();
        }
    }

    async fn pause(&self) {
        self.pauses.store(true, Ordering::Relaxed);
        drop(timeout(PAUSE, self.answered.notified()).await);
        self.pauses.store(false, Ordering::Relaxed);
    }

    /// Whether a new mark or claim could be taken back. If entries wait for a task, because their runtime has ended,
    /// this starts one.
    pub(super) fn has_room<C: Connection>(self: &Arc<Self>, log: &RedisLog<C>) -> bool {
        let mut queue = self.queue();
        let has_room = queue.by_due.len() < MAX_WAITING;
        let needs_task = queue.needs_task();
        drop(queue);
        self.ensure_task(needs_task, log);
        has_room
    }

    /// Takes back in the background. Without a runtime, this waits for the next call that has one.
    pub(super) fn take_back<C: Connection>(self: &Arc<Self>, log: &RedisLog<C>, take_back: TakeBack) {
        let due = match take_back.made {
            // A delivery that comes meanwhile must not be answered as its duplicate.
            Made::Mark => Instant::now(),
            // The same owner may claim again; which of its claims it is, is known after the deadline.
            Made::Claim { .. } => take_back.passes_at,
        };
        let mut queue = self.queue();
        queue.add(due, take_back);
        let needs_task = queue.needs_task();
        drop(queue);
        self.ensure_task(needs_task, log);
        self.added.notify_one();
    }

    fn ensure_task<C: Connection>(self: &Arc<Self>, needs_task: bool, log: &RedisLog<C>) {
        if let Some(runtime) = needs_task.then(Handle::try_current).and_then(Result::ok) {
            let task = Task { undelivered: Arc::clone(self), is_done: false };
            runtime.spawn(task.run(log.clone()));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are due, or when the next one is. They stay in the queue until it is known that they are gone,
    /// because this task may end with its runtime.
    fn due(&self, limit: usize) -> Result<Vec<(Due, TakeBack)>, Option<Instant>> {
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

    /// Sees to it that an entry comes again, unless it is gone.
    fn put_off(&self, due: Due, until: Option<Instant>) {
        let mut queue = self.queue();
        if let Some(take_back) = queue.by_due.remove(&due)
            && let Some(until) = until
        {
            queue.add(until, take_back);
        }
    }
}

/// The one task of a log. Dropped with its runtime, it leaves the rest to the next one.
struct Task {
    undelivered: Arc<Undelivered>,
    /// Whether it has nothing more to do, and has said so in the queue.
    is_done: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.is_done {
            self.undelivered.queue().task_active_at = None;
        }
    }
}

impl Task {
    async fn run<C: Connection>(mut self, log: RedisLog<C>) {
        // A server that does not answer or refuses is asked for one event at a time.
        let mut limit = 1;
        loop {
            let due = match self.undelivered.due(limit) {
                Ok(due) => due,
                Err(Some(next)) => {
                    drop(timeout_at(next, self.undelivered.added.notified()).await);
                    continue;
                }
                Err(None) => {
                    // Within one lock: a call that adds one after this starts the next task.
                    let mut queue = self.undelivered.queue();
                    if queue.by_due.is_empty() {
                        queue.task_active_at = None;
                        drop(queue);
                        self.is_done = true;
                        return;
                    }
                    continue;
                }
            };
            let mut asked = JoinSet::new();
            for (due, take_back) in due {
                let log = log.clone();
                asked.spawn(async move { (due, ask(&log, &take_back).await) });
            }
            let mut is_willing = true;
            while let Some(Ok((due, outcome))) = asked.join_next().await {
                let again = match outcome {
                    Outcome::Gone => None,
                    Outcome::MayStillCome { until } => Some(until),
                    Outcome::Failed => {
                        is_willing = false;
                        // After the others.
                        Some(Instant::now())
                    }
                };
                self.undelivered.put_off(due, again);
            }
            limit = if is_willing { MAX_AT_ONCE } else { 1 };
            if !is_willing {
                self.undelivered.pause().await;
            }
        }
    }
}

enum Outcome {
    /// It is not there and will not be, or it will never be known.
    Gone,
    MayStillCome {
        until: Instant,
    },
    /// The server did not answer, or refused.
    Failed,
}

async fn ask<C: Connection>(log: &RedisLog<C>, take_back: &TakeBack) -> Outcome {
    let TakeBack { key, owner, made, deadline, passes_at, remembered_for } = take_back;
    let lease = match made {
        Made::Mark => -1,
        Made::Claim { lease } => i64::try_from(millis(*lease)).unwrap_or(i64::MAX),
    };
    let arguments = (*deadline, owner.as_bytes().as_slice(), lease);
    let error = match timeout(ANSWER_WITHIN, TAKE_BACK.run(log.connection.clone(), key, arguments)).await {
        Ok(Ok((outcome, _, now))) => {
            log.shared.clock.set(now);
            if outcome == 1 {
                return Outcome::Gone;
            }
            let left = Duration::from_millis(deadline.saturating_sub(now).saturating_add(1));
            return Outcome::MayStillCome { until: Instant::now() + left };
        }
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    if let Some(error) = &error {
        log.leave_replica(error).await;
    }
    // Every other refusal may end: a full disk or memory, a right that is missing, a replica.
    let is_another_key = error.is_some_and(|error| error.code() == Some("WRONGTYPE"));
    if is_another_key || passes_at.elapsed() > *remembered_for { Outcome::Gone } else { Outcome::Failed }
}
