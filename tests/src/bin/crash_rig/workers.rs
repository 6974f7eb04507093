//! The worker processes, as their executioner and their load balancer see them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferro_idem_tests::servers::spawn_until_killed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;
use rand::seq::IndexedRandom;

/// How many there are.
pub(crate) const WORKERS: usize = 4;

/// Each is killed and started again in its own slot.
pub(crate) struct Workers {
    program: PathBuf,
    arguments: Vec<OsString>,
    slots: [Mutex<Slot>; WORKERS],
}

#[derive(Default)]
struct Slot {
    child: Option<Child>,
    /// As soon as it listens.
    port: Option<u16>,
    is_stopped: bool,
}

impl Workers {
    /// Starts all, with these arguments.
    pub(crate) fn start(arguments: Vec<OsString>) -> Arc<Self> {
        let program = std::env::current_exe().expect("this program has a path");
        let workers = Arc::new(Self { program, arguments, slots: Default::default() });
        for index in 0..WORKERS {
            workers.restart(index);
        }
        workers
    }

    fn slot(&self, index: usize) -> MutexGuard<'_, Slot> {
        self.slots[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills it with SIGKILL, and starts it again at once. `false`: it is stopped, and left alone.
    pub(crate) fn restart(self: &Arc<Self>, index: usize) -> bool {
        let mut slot = self.slot(index);
        if slot.is_stopped {
            return false;
        }
        end(slot.child.take());
        let mut child = spawn_until_killed(&self.program, &self.arguments);
        let said = child.stdout.take();
        *slot = Slot { child: Some(child), port: None, is_stopped: false };
        let workers = Arc::clone(self);
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = said.map(|said| BufReader::new(said).read_line(&mut line));
            // Killed before it listened, it says nothing.
            if let (Some(Ok(_)), Ok(port)) = (read, line.trim().parse()) {
                workers.slot(index).port = Some(port);
            }
        });
        true
    }

    /// Stops it, or lets it go on.
    pub(crate) fn stop(&self, index: usize, is_stopped: bool) {
        let mut slot = self.slot(index);
        let signal = if is_stopped { Signal::SIGSTOP } else { Signal::SIGCONT };
        let id = slot.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if id.is_some_and(|id| kill(Pid::from_raw(id), signal).is_ok()) {
            slot.is_stopped = is_stopped;
        }
    }

    /// Kills all: what they did is all that they will do.
    pub(crate) fn end(&self) {
        for index in 0..WORKERS {
            end(self.slot(index).child.take());
        }
    }

    /// The port of one that listens. One that is stopped does, too.
    pub(crate) fn one_that_listens(&self, rng: &mut impl Rng) -> Option<u16> {
        let ports: Vec<u16> = (0..WORKERS).filter_map(|index| self.slot(index).port).collect();
        ports.choose(rng).copied()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        drop(child.kill());
        drop(child.wait());
    }
}
