//! Marks and claims whose callers do not know of them: taken back until it is known that they are gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::script::TAKE_BACK;
use super::{fault, millis};
use crate::owner::Owner;
use crate::retry::{ANSWER_WITHIN, FaultKind};
use crate::server_clock::ServerClock;

/// How many wait at most: clients must not decide how much memory an outage takes. Those beyond are left to the
/// deadline that their scripts carry.
const MAX_WAITING: usize = 16_384;

/// How many are asked for at the same time.
const MAX_AT_ONCE: usize = 64;

/// The pause after a server did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What a call may have made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made {
    Mark,
    Claim { lease: Duration },
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

/// When an entry is looked at next. The number tells entries of one moment apart.
type Due = (Instant, u64);

/// The calls to take back, and the one task that does it.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    queue: Mutex<Queue>,
    added: Notify,
    /// Shared with the log's calls.
    clock: Arc<ServerClock>,
}

#[derive(Debug, Default)]
struct Queue {
    by_due: BTreeMap<Due, TakeBack>,
    number: u64,
    has_task: bool,
}

impl Queue {
    fn add(&mut self, due: Instant, take_back: TakeBack) {
        self.number += 1;
        self.by_due.insert((due, self.number), take_back);
    }
}

impl Undelivered {
    pub(super) fn new(clock: Arc<ServerClock>) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Takes back in the background. Without a runtime, this waits for the next call that has one.
    pub(super) fn take_back<C>(self: &Arc<Self>, connection: &C, take_back: TakeBack)
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        let mut queue = self.queue();
        if queue.by_due.len() >= MAX_WAITING {
            return;
        }
        let due = match take_back.made {
            // A delivery that comes meanwhile must not be answered as its duplicate.
            Made::Mark => Instant::now(),
            // The same owner may claim again; which of its claims it is, is known after the deadline.
            Made::Claim { .. } => take_back.passes_at,
        };
        queue.add(due, take_back);
        if !queue.has_task
            && let Ok(runtime) = Handle::try_current()
        {
            queue.has_task = true;
            runtime.spawn(Task { undelivered: Arc::clone(self), is_done: false }.run(connection.clone()));
        }
        drop(queue);
        self.added.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are due, or when the next one is. They stay in the queue until it is known that they are gone,
    /// because this task may end with its runtime.
    fn due(&self, limit: usize) -> Result<Vec<(Due, TakeBack)>, Option<Instant>> {
        let queue = self.queue();
        let now = Instant::now();
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
            self.undelivered.queue().has_task = false;
        }
    }
}

impl Task {
    async fn run<C: ConnectionLike + Clone + Send + Sync + 'static>(mut self, connection: C) {
        // A server that does not answer is asked for one event at a time.
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
                        queue.has_task = false;
                        drop(queue);
                        self.is_done = true;
                        return;
                    }
                    continue;
                }
            };
            let mut asked = JoinSet::new();
            for (due, take_back) in due {
                let (connection, clock) = (connection.clone(), Arc::clone(&self.undelivered.clock));
                asked.spawn(async move { (due, ask(connection, &clock, &take_back).await) });
            }
            let mut is_answering = true;
            while let Some(Ok((due, outcome))) = asked.join_next().await {
                let again = match outcome {
                    Outcome::Gone => None,
                    Outcome::MayStillCome { until } => Some(until),
                    Outcome::Unanswered => {
                        is_answering = false;
                        Some(Instant::now() + PAUSE)
                    }
                };
                self.undelivered.put_off(due, again);
            }
            limit = if is_answering { MAX_AT_ONCE } else { 1 };
            if !is_answering {
                tokio::time::sleep(PAUSE).await;
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
    Unanswered,
}

async fn ask<C: ConnectionLike>(connection: C, clock: &ServerClock, take_back: &TakeBack) -> Outcome {
    let TakeBack { key, owner, made, deadline, passes_at, remembered_for } = take_back;
    let lease = match made {
        Made::Mark => -1,
        Made::Claim { lease } => i64::try_from(millis(*lease)).unwrap_or(i64::MAX),
    };
    let arguments = (*deadline, owner.as_bytes().as_slice(), lease);
    match timeout(ANSWER_WITHIN, TAKE_BACK.run(connection, key, arguments)).await {
        Ok(Ok((1, _, now))) => {
            clock.set(now);
            Outcome::Gone
        }
        Ok(Ok((_, _, now))) => {
            clock.set(now);
            let left = Duration::from_millis(deadline.saturating_sub(now).saturating_add(1));
            Outcome::MayStillCome { until: Instant::now() + left }
        }
        Ok(Err(error)) if fault::kind_of(&error) == FaultKind::Permanent => Outcome::Gone,
        Ok(Err(_)) | Err(_) if passes_at.elapsed() > *remembered_for => Outcome::Gone,
        Ok(Err(_)) | Err(_) => Outcome::Unanswered,
    }
}
