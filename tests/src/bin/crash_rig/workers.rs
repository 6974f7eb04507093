//! The worker processes, as their executioner and their load balancer see them.

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

/// How many there are.
pub(crate) const WORKERS: usize = 4;

/// An undisturbed stretch of a worker: it ends when the worker is killed or stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life(u64);

const LOOKED_AFTER_EVERY: Duration = Duration::from_millis(100);

/// Each is killed and started again in its own slot.
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
    /// As soon as it listens.
    port: Option<u16>,
    life: Option<Life>,
    is_stopped: bool,
}

impl Slot {
    fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Waits for the end of one that was killed: what it did is all that it will do.
    fn bury(&mut self) {
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
            // Killed before it listened, it says nothing; killed after that, it may be another's slot.
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

    /// Sends SIGKILL, which ends one that is stopped, too. `false`: it was gone.
    fn kill(&self, slot: &mut Slot) -> bool {
        if let Some(status) = slot.has_ended() {
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(status);
            return false;
        }
        slot.child.as_mut().is_some_and(|child| child.kill().is_ok())
    }

    /// Kills it, and starts it again at once. `false`: it is stopped, and left alone, or was gone.
    pub(crate) fn restart(self: &Arc<Self>, index: usize) -> bool {
        let slot = &mut self.slots()[index];
        if slot.is_stopped {
            return false;
        }
        let was_killed = self.kill(slot);
        slot.bury();
        self.fill(slot, index);
        was_killed
    }

    /// Kills all, and starts them again when none is left: a file was without a process meanwhile. How many
    /// were killed.
    pub(crate) fn crash(self: &Arc<Self>) -> u64 {
        let slots = &mut *self.slots();
        let killed = slots.iter_mut().map(|slot| u64::from(self.kill(slot))).sum();
        slots.iter_mut().for_each(Slot::bury);
        for (index, slot) in slots.iter_mut().enumerate() {
            self.fill(slot, index);
        }
        killed
    }

    /// Starts those again that ended by themselves, until it is dropped.
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

    /// Stops it. `false`: it is gone.
    pub(crate) fn stop(&self, index: usize) -> bool {
        let slot = &mut self.slots()[index];
        slot.life = Some(self.next_life());
        slot.is_stopped = slot.signal(Signal::SIGSTOP);
        slot.is_stopped
    }

    /// Lets it go on. `false`: it was killed meanwhile.
    pub(crate) fn go_on(&self, index: usize) -> bool {
        let slot = &mut self.slots()[index];
        std::mem::take(&mut slot.is_stopped) && slot.signal(Signal::SIGCONT)
    }

    /// Kills all for good.
    pub(crate) fn end(&self) {
        for slot in &mut *self.slots() {
            self.kill(slot);
            slot.bury();
        }
    }

    /// How those ended that nobody killed.
    pub(crate) fn ended_by_themselves(&self) -> Vec<ExitStatus> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The port of one that listens. One that is stopped does, too.
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
