//! Failures on purpose, only in the storm: bodies that have written their row and then fail.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;

use crate::events::Event;

/// The same events have the same mishaps in every run.
const SEED: u64 = 20;

/// One run of a body in this many fails.
const RUNS_PER_MISHAP: u32 = 20;

/// The hang-up ends the wait long before this. It is short because the body holds SQLite's only write lock.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The planned failures. By default there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mishaps {
    of_event: Arc<HashMap<String, Planned>>,
    struck: Arc<Mutex<Struck>>,
}

#[derive(Debug, Default)]
struct Planned {
    mishaps: Mutex<Vec<Mishap>>,
    hang_up: Notify,
}

#[derive(Clone, Copy, Debug)]
enum Mishap {
    Error,
    Panic,
    /// The sender hangs up. A body that waits is dropped there. A body that does not wait may be committing.
    HangUp {
        waits: bool,
    },
}

/// The error of a body that fails on purpose.
#[derive(Debug, thiserror::Error)]
#[error("failed on purpose")]
pub(crate) struct OnPurpose;

/// How often a body failed, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Struck {
    pub(crate) errors: usize,
    pub(crate) panics: usize,
    pub(crate) hang_ups: usize,
}

impl Mishaps {
    pub(crate) fn planned(events: &[Event]) -> Self {
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut of_event = HashMap::new();
        for event in events {
            let mut mishaps = Vec::new();
            while rng.random_ratio(1, RUNS_PER_MISHAP) {
                mishaps.push(Mishap::random(&mut rng));
            }
            if !mishaps.is_empty() {
                let planned = Planned { mishaps: Mutex::new(mishaps), hang_up: Notify::new() };
                of_event.insert(event.id.clone(), planned);
            }
        }
        Self { of_event: Arc::new(of_event), ..Self::default() }
    }

    /// Fails this run of the event's body, if a mishap is planned for it.
    pub(crate) async fn strike(&self, event_id: &str) -> Result<(), OnPurpose> {
        let Some(planned) = self.of_event.get(event_id) else { return Ok(()) };
        let Some(mishap) = planned.mishaps.lock().unwrap_or_else(PoisonError::into_inner).pop() else {
            return Ok(());
        };
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).count(mishap);
        match mishap {
            Mishap::Error => Err(OnPurpose),
            // Like `panic!`, without the message on stderr.
            Mishap::Panic => resume_unwind(Box::new(OnPurpose)),
            Mishap::HangUp { waits } => {
                planned.hang_up.notify_waiters();
                if waits {
                    tokio::time::sleep(MAX_WAIT).await;
                }
                Ok(())
            }
        }
    }

    /// Returns when the senders of this event should hang up, in the middle of its body.
    pub(crate) async fn hang_up(&self, event_id: &str) {
        match self.of_event.get(event_id) {
            Some(planned) => planned.hang_up.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn struck(&self) -> Struck {
        *self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mishap {
    fn random(rng: &mut StdRng) -> Self {
        match rng.random_range(0..3) {
            0 => Self::Error,
            1 => Self::Panic,
            _ => Self::HangUp { waits: rng.random() },
        }
    }
}

impl Struck {
    pub(crate) fn total(self) -> usize {
        self.errors + self.panics + self.hang_ups
    }

    fn count(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::Error => self.errors += 1,
            Mishap::Panic => self.panics += 1,
            Mishap::HangUp { .. } => self.hang_ups += 1,
        }
    }
}
