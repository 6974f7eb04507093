//! The worker processes: they are started, killed and stopped here, and one is chosen for each delivery.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferro_idem_tests::servers::spawn_until_killed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::sleep;

/// How many workers there are.
pub(crate) const WORKERS: usize = 4;

/// An undisturbed stretch of a worker: it ends when the worker is killed or stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life(u64);

const LOOKED_AFTER_EVERY: Duration = Duration::from_millis(100);

/// Each worker is killed and restarted in its own slot.
pub(crate) struct Workers {
    program: PathBuf,
    arguments: Vec<OsString>,
    slots: Mutex<[Slot; WORKERS]>,
    lives: AtomicU64,
    ended: Mutex<Vec<ExitStatus>>,
}

#[derive(Default)]
struct Slot {
    child: Option<Child>,
    /// Known as soon as the worker listens.
    port: Option<u16>,
    life: Option<Life>,
    is_stopped: bool,
}

impl Slot {
    fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Waits for the end of a worker that was killed: it has no effects after this.
    fn reap(&mut self) {
        if let Some(mut child) = std::mem::take(self).child {
            drop(child.wait());
        }
    }

    fn signal(&self, signal: Signal) -> bool {
        let id = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        id.is_some_and(|id| kill(Pid::from_raw(id), signal).is_ok())
    }
}

impl Workers {
    /// Starts all, with these arguments.
    pub(crate) fn start(arguments: Vec<OsString>) -> Arc<Self> {
        let program = std::env::current_exe().expect("this program has a path");
        let workers = Arc::new(Self {
            program,
            arguments,
            slots: Mutex::default(),
            lives: AtomicU64::new(0),
            ended: Mutex::default(),
        });
        workers.crash();
        workers
    }

    fn slots(&self) -> MutexGuard<'_, [Slot; WORKERS]> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one in a slot that is empty.
    fn fill(self: &Arc<Self>, slot: &mut Slot, index: usize) {
        let mut child = spawn_until_killed(&self.program, &self.arguments);
        let (id, said) = (child.id(), child.stdout.take());
        slot.child = Some(child);
        slot.life = Some(self.next_life());
        let workers = Arc::clone(self);
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = said.map(|said| BufReader::new(said).read_line(&mut line));
            let slot = &mut workers.slots()[index];
            // A worker that is killed before it listens prints nothing. Later, the slot may have another worker.
            if let (Some(Ok(_)), Ok(port)) = (read, line.trim().parse())
                && slot.child.as_ref().is_some_and(|child| child.id() == id)
            {
                slot.port = Some(port);
            }
        });
    }

    fn next_life(&self) -> Life {
        Life(self.lives.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends SIGKILL, which also ends a stopped worker. Returns false if it had ended.
    fn kill(&self, slot: &mut Slot) -> bool {
        if let Some(status) = slot.has_ended() {
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(status);
            return false;
        }
        slot.child.as_mut().is_some_and(|child| child.kill().is_ok())
    }

    /// Kills a worker and restarts it. Returns false if it had ended, or if it is stopped, and then leaves it alone.
    pub(crate) fn restart(self: &Arc<Self>, index: usize) -> bool {
        let slot = &mut self.slots()[index];
        if slot.is_stopped {
            return false;
        }
        let was_killed = self.kill(slot);
        slot.reap();
        self.fill(slot, index);
        was_killed
    }

    /// Kills all workers, and restarts them after the last has ended, so that no process has the file for a moment.
    /// Returns how many were killed.
    pub(crate) fn crash(self: &Arc<Self>) -> u64 {
        let slots = &mut *self.slots();
        let killed = slots.iter_mut().map(|slot| u64::from(self.kill(slot))).sum();
        slots.iter_mut().for_each(Slot::reap);
        for (index, slot) in slots.iter_mut().enumerate() {
            self.fill(slot, index);
        }
        killed
    }

    /// Restarts workers that ended by themselves, until it is dropped.
    pub(crate) async fn look_after(self: &Arc<Self>) {
        loop {
            sleep(LOOKED_AFTER_EVERY).await;
            for index in 0..WORKERS {
                if self.slots()[index].has_ended().is_some() {
                    self.restart(index);
                }
            }
        }
    }

    /// Stops a worker. Returns false if it has ended.
    pub(crate) fn stop(&self, index: usize) -> bool {
        let slot = &mut self.slots()[index];
        slot.life = Some(self.next_life());
        slot.is_stopped = slot.signal(Signal::SIGSTOP);
        slot.is_stopped
    }

    /// Resumes a worker. Returns false if it was killed meanwhile.
    pub(crate) fn resume(&self, index: usize) -> bool {
        let slot = &mut self.slots()[index];
        std::mem::take(&mut slot.is_stopped) && slot.signal(Signal::SIGCONT)
    }

    /// Kills all workers, and restarts none.
    pub(crate) fn end(&self) {
        for slot in &mut *self.slots() {
            self.kill(slot);
            slot.reap();
        }
    }

    /// The exit status of each worker that ended by itself.
    pub(crate) fn ended_by_themselves(&self) -> Vec<ExitStatus> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The port of a random worker that listens. A stopped one listens, too.
    pub(crate) fn one_that_listens(&self, rng: &mut impl Rng) -> Option<(u16, Life)> {
        let listening: Vec<_> = self.slots().iter().filter_map(|slot| slot.port.zip(slot.life)).collect();
        listening.choose(rng).copied()
    }

    /// Whether the worker has been neither killed nor stopped.
    pub(crate) fn is_undisturbed(&self, life: Life) -> bool {
        self.slots().iter().any(|slot| slot.life == Some(life))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}
