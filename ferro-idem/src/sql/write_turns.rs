//! The writers of this process take turns at a database that has one writer at a time.
//!
//! A writer that finds SQLite's lock taken sleeps and looks again, 1 to 100 ms later
//! (<https://www.sqlite.org/c3ref/busy_timeout.html>), also if the lock was free long before that. In a queue of the
//! process, the next writer goes on at once.
//!
//! Turns are for speed only, and the database's lock decides. A writer that waits for long goes on without a turn: the
//! one before it may be a transaction whose body waits for this very writer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a writer waits for its turn, before it waits at the database like the writers of other processes.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// By file and schema. What no log uses any more is replaced by the next one that asks.
static ALL: LazyLock<Mutex<HashMap<Place, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

/// Each file that is attached to a connection has a lock of its own.
type Place = (PathBuf, Option<String>);

/// The queue of one database. Without one, nobody waits.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteTurns(Option<Arc<Semaphore>>);

/// A writer's turn, until it is dropped.
///
/// Not tokio's permit, whose drop is significant to clippy: a handler's transaction holds a turn, and the lint
/// `significant_drop_tightening` would be raised in the handler.
#[derive(Debug, Default)]
pub(super) struct WriteTurn(Option<Arc<Semaphore>>);

impl Drop for WriteTurn {
    fn drop(&mut self) {
        if let Some(turns) = &self.0 {
            turns.add_permits(1);
        }
    }
}

impl WriteTurns {
    /// `file`: where the database is, if it has one writer. A database without a file is one per connection: it shares
    /// its name with others, and nothing else.
    pub(super) fn of(file: Option<&Path>, schema: Option<&str>) -> Self {
        let is_named = |file: &&Path| !file.as_os_str().is_empty() && file.as_os_str() != ":memory:";
        let Some(file) = file.filter(is_named) else { return Self(None) };
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        // A panic cannot leave it half-changed.
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turns| turns.strong_count() > 0);
        let entry = all.entry((file, schema.map(str::to_owned))).or_default();
        let turns = entry.upgrade().unwrap_or_else(|| Arc::new(Semaphore::new(1)));
        *entry = Arc::downgrade(&turns);
        Self(Some(turns))
    }

    /// Waits for the turn of a writer that has its connection. A writer must not wait for one while it has its turn.
    pub(super) async fn next(&self) -> WriteTurn {
        let Some(turns) = &self.0 else { return WriteTurn(None) };
        match timeout(MAX_WAIT, turns.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                WriteTurn(Some(Arc::clone(turns)))
            }
            _ => WriteTurn(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writers_go_one_after_the_other_and_none_waits_for_ever() {
        let file = Path::new("/somewhere/events.db");
        let (one, other) = (WriteTurns::of(Some(file), None), WriteTurns::of(Some(file), None));
        let turn = one.next().await;
        let mut second = Box::pin(other.next());
        assert!(poll!(&mut second).is_pending());
        drop(turn);
        let turn = second.await;
        let start = Instant::now();
        let without = one.next().await;
        assert!(start.elapsed() >= MAX_WAIT, "the first one is still at it");
        drop((turn, without));
        assert!(poll!(Box::pin(one.next())).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn databases_do_not_wait_for_each_other() {
        let file = Some(Path::new("/somewhere/events.db"));
        let places = [
            (file, None),
            (file, Some("attached")),
            (Some(Path::new("/somewhere/else.db")), None),
            (Some(Path::new(":memory:")), None),
            (Some(Path::new(":memory:")), None),
            (Some(Path::new("")), None),
            (None, None),
            (None, None),
        ];
        let all: Vec<_> = places.iter().map(|(file, schema)| WriteTurns::of(*file, *schema)).collect();
        let mut held = Vec::new();
        for turns in &all {
            let start = Instant::now();
            held.push(turns.next().await);
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }
}
