//! How a worker runs.

use std::time::Duration;

use crate::inbox::backoff::Backoff;
use crate::lease_length::DEFAULT_LEASE;

/// The bodies that run at once, unless set.
const CONCURRENCY: usize = 16;

/// How long a body may take, unless set.
const TIME_LIMIT: Duration = Duration::from_mins(5);

/// How long running bodies get after the shutdown began, unless set. Kubernetes kills a process after 30 seconds.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// How often an idle worker asks the database, unless set.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Shorter intervals would keep an idle database busy.
pub(super) const MIN_POLL_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    /// Whether events have order keys, so that a later one may wait for one that is gone.
    pub(super) has_order: bool,
    pub(super) concurrency: usize,
    pub(super) lease: Duration,
    pub(super) time_limit: Duration,
    pub(super) drain_limit: Duration,
    pub(super) poll_interval: Duration,
}

impl Settings {
    pub(super) fn new(max_attempts: u32, backoff: Backoff, has_order: bool) -> Self {
        Self {
            max_attempts,
            backoff,
            has_order,
            concurrency: CONCURRENCY,
            lease: DEFAULT_LEASE,
            time_limit: TIME_LIMIT,
            drain_limit: DRAIN_LIMIT,
            poll_interval: POLL_INTERVAL,
        }
    }
}
