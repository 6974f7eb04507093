//! When to sweep.

use std::sync::atomic::{AtomicIsize, Ordering};

/// Below this many entries a sweep is not worth its locks.
pub(super) const SMALLEST: usize = 1024;

/// New entries until the next sweep: as many as the last one left behind, so that each pays for a
/// constant share of it.
pub(super) struct SweepBudget(AtomicIsize);

impl SweepBudget {
    pub(super) fn new() -> Self {
        Self(AtomicIsize::new(after(0)))
    }

    /// Pays for one new entry. `true` for exactly one caller, who has to sweep and to
    /// [`refill`](Self::refill).
    pub(super) fn spend(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) == 1
    }

    pub(super) fn refill(&self, left: usize) {
        self.0.store(after(left), Ordering::Relaxed);
    }
}

fn after(left: usize) -> isize {
    isize::try_from(left.max(SMALLEST)).unwrap_or(isize::MAX)
}
