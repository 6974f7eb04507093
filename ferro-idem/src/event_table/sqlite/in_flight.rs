//! The events that this process has open transactions for.
//!
//! SQLite has one writer: a second delivery would wait for the lock as long as the first one's body
//! runs, and hold a connection meanwhile. Within the process it is told at once, through whichever pool
//! it came; another process waits for the busy timeout.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

type Events = Mutex<HashSet<String>>;

type Table = (PathBuf, String);

/// By file and table. What no log uses any more is replaced by the next one that asks.
static ALL: LazyLock<Mutex<HashMap<Table, Weak<Events>>>> = LazyLock::new(Mutex::default);

/// Those of one table.
#[derive(Clone, Debug)]
pub(crate) struct InFlight(Arc<Events>);

impl InFlight {
    /// A database without a file is one per connection: it shares its name with others, and nothing else.
    pub(crate) fn of(file: &Path, table: &str) -> Self {
        if file.as_os_str().is_empty() || file.as_os_str() == ":memory:" {
            return Self(Arc::default());
        }
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let mut all = locked(&ALL);
        all.retain(|_, events| events.strong_count() > 0);
        let entry = all.entry((file, table.to_owned())).or_default();
        let events = entry.upgrade().unwrap_or_default();
        *entry = Arc::downgrade(&events);
        Self(events)
    }

    pub(crate) fn lock(&self, event_id: &str) -> Option<EventLock> {
        let is_first = locked(&self.0).insert(event_id.to_owned());
        is_first.then(|| EventLock { events: self.clone(), event_id: event_id.to_owned() })
    }
}

/// An event's open transaction; dropped when that has ended.
#[derive(Debug)]
pub struct EventLock {
    events: InFlight,
    event_id: String,
}

impl Drop for EventLock {
    fn drop(&mut self) {
        locked(&self.events.0).remove(&self.event_id);
    }
}

/// A panic cannot leave these half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
