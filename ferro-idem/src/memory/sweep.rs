//! Decides when to sweep.

use std::sync::atomic::{AtomicIsize, Ordering};

/// With fewer entries than this, a sweep is not worth its locks.
pub(super) const SMALLEST: usize = 1024;

/// The number of new entries until the next sweep: as many as the last one left, so that each entry pays a
/// constant share.
pub(super) struct SweepBudget(AtomicIsize);

impl SweepBudget {
    pub(super) fn new() -> Self {
        Self(AtomicIsize::new(after(0)))
    }

    /// Counts one new entry. Returns `true` for exactly one call, which has to sweep and to
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
