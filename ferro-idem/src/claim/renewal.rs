//! Renews a lease in the background while the body runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::lease::{Lease, Loss};
use super::prompter::{Due, PROMPTER, Prompted};
use crate::error::Error;

/// The number of prompts within the length of a lease, after its first third.
const PROMPTS: u32 = 10;

/// Renews a lease until it is dropped.
///
/// The renewal must not depend on the body: if the body blocks its thread, nothing that is polled in the same
/// task can run. [`prompter`](super::prompter) says why a task alone is not enough either.
pub(super) struct Renewal(Arc<Shared>);

struct Shared {
    lease: Arc<Lease>,
    runtime: Handle,
    state: Mutex<State>,
    /// The key of its entry in the prompter's schedule. Changed only under the schedule's lock.
    due: Mutex<Option<Due>>,
}

struct State {
    stage: Stage,
    /// Wakes the task that polls the body.
    waker: Option<Waker>,
    loss: Option<Loss>,
}

enum Stage {
    Waiting,
    Renewing(AbortHandle),
    Ended,
}

/// Whether another worker can renew while the body blocks this worker.
pub(super) fn outlives_a_blocked_thread(runtime: &Handle) -> bool {
    runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
}

impl Renewal {
    /// `runtime` is the runtime that polls the body.
    pub(super) fn start(lease: &Arc<Lease>, runtime: Handle) -> Self {
        let has_workers = outlives_a_blocked_thread(&runtime);
        let state = Mutex::new(State { stage: Stage::Waiting, waker: None, loss: None });
        let shared = Arc::new(Shared { lease: Arc::clone(lease), runtime, state, due: Mutex::new(None) });
        let first = (lease.start + lease.length / 3).into_std();
        if !(has_workers && PROMPTER.prompt_from(first, Arc::clone(&shared) as _)) {
            Arc::clone(&shared).prompt();
        }
        Self(shared)
    }

    /// Returns why the lease is lost, if it is. Otherwise wakes the waker as soon as it is lost.
    pub(super) fn loss(&self, waker: &Waker) -> Option<Loss> {
        let mut state = self.0.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        state.loss.take()
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        // This check needs no lock: a renewal that is in the schedule stays there until it is forgotten.
        let is_scheduled = self.0.due().is_some();
        if is_scheduled {
            PROMPTER.forget(&*self.0);
        }
        let stage = std::mem::replace(&mut self.0.lock().stage, Stage::Ended);
        if let Stage::Renewing(task) = stage {
            task.abort();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(self: Arc<Self>) {
        let loss = keep(&self.lease).await;
        let waker = {
            let mut state = self.lock();
            state.loss = Some(loss);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Prompted for Shared {
    /// Starts the task that renews. If it runs already, makes a worker check the timers and sockets that it
    /// waits for.
    fn prompt(self: Arc<Self>) {
        let mut state = self.lock();
        match state.stage {
            Stage::Waiting => {
                let task = self.runtime.spawn(Arc::clone(&self).renew());
                state.stage = Stage::Renewing(task.abort_handle());
            }
            Stage::Renewing(_) => drop(self.runtime.spawn(async {})),
            Stage::Ended => {}
        }
    }

    fn interval(&self) -> Duration {
        self.lease.length / PROMPTS
    }

    fn due(&self) -> MutexGuard<'_, Option<Due>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews the lease well before it ends, until it is lost.
async fn keep(lease: &Lease) -> Loss {
    let mut next = lease.start + lease.length / 3;
    let mut failure = None;
    loop {
        let deadline = lease.until();
        sleep_until(next.min(deadline)).await;
        let asked_at = Instant::now();
        if asked_at >= deadline {
            return Loss::NotRenewed(failure);
        }
        match timeout_at(deadline, lease.renew()).await {
            Ok(Ok(true)) => {
                lease.prolong(asked_at);
                (next, failure) = (asked_at + lease.length / 3, None);
            }
            Ok(Ok(false)) => return Loss::NotHeld,
            // The store may come back before the lease ends.
            Ok(Err(error)) => (next, failure) = (Instant::now() + lease.length / 10, Some(error)),
            Err(late) => {
                return Loss::NotRenewed(Some(
                    failure.unwrap_or_else(|| Error::store("renew the lease", late)),
                ));
            }
        }
    }
}
