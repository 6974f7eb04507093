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

/// The largest number of marks and claims that are looked up at the same time.
const MAX_AT_ONCE: usize = 64;

impl Undelivered {
    /// Whether a new mark or claim could be taken back. Starts a task if entries wait without one, because the runtime
    /// of the last task has ended.
    pub(super) fn has_room<C: Connection>(self: &Arc<Self>, log: &RedisLog<C>) -> bool {
        let mut queue = self.queue();
        let has_room = queue.by_due.len() < MAX_WAITING;
        let needs_task = queue.needs_task();
        drop(queue);
        self.ensure_task(needs_task, log);
        has_room
    }

    /// Takes a mark or claim back in the background. Outside a runtime, the next call inside one starts the task.
    pub(super) fn take_back<C: Connection>(self: &Arc<Self>, log: &RedisLog<C>, take_back: TakeBack) {
        let due = match take_back.made {
            // A delivery that arrives meanwhile must not be answered as a duplicate of it.
            Made::Mark => Instant::now(),
            // The same owner may claim again. Only after the deadline is it known which of its claims exists.
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

/// The only task of a log that takes back. If its runtime drops it, the next task does the rest.
struct Task {
    undelivered: Arc<Undelivered>,
    /// Whether the task has recorded in the queue that it ended.
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
        // If the server does not answer or refuses, the task sends one request at a time.
        let mut limit = 1;
        loop {
            let due = match self.undelivered.due(limit) {
                Ok(due) => due,
                Err(Some(next)) => {
                    drop(timeout_at(next, self.undelivered.added.notified()).await);
                    continue;
                }
                Err(None) => {
                    // This happens under the lock, so a call that adds an entry afterwards starts the next task.
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
                        // The entry queues after the others.
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
    /// The mark or claim does not exist and cannot come to exist, or this can never be known.
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
    let error = match timeout(
        ANSWER_WITHIN,
        TAKE_BACK.run(log.connection.clone(), std::slice::from_ref(key), arguments),
    )
    .await
    {
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
    // Every other refusal may pass: a full disk, full memory, a missing right, a replica.
    let is_another_key = error.is_some_and(|error| error.code() == Some("WRONGTYPE"));
    if is_another_key || passes_at.elapsed() > *remembered_for { Outcome::Gone } else { Outcome::Failed }
}
