//! Takes marks and claims back, in one task for each log.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::script::TAKE_BACK;
use super::undelivered::{MAX_WAITING, Made, TakeBack, Undelivered};
use super::{Connection, RedisLog, millis};
use crate::retry::ANSWER_WITHIN;

/// How many are asked for at the same time.
const MAX_AT_ONCE: usize = 64;

impl Undelivered {
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
            runtime.spawn(Task::new(self).run(log.clone()));
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
    fn new(undelivered: &Arc<Undelivered>) -> Self {
        Self { undelivered: Arc::clone(undelivered), is_done: false }
    }

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
                let is_looked_for = !matches!(outcome, Outcome::Failed);
                let again = match outcome {
                    Outcome::Gone => None,
                    Outcome::MayStillCome { until } => Some(until),
                    Outcome::Failed => {
                        is_willing = false;
                        // After the others.
                        Some(Instant::now())
                    }
                };
                self.undelivered.put_off(due, again, is_looked_for);
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
    let TakeBack { key, owner, made, deadline, passes_at, remembered_for, .. } = take_back;
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
