//! How long a lease may be.

use std::time::Duration;

/// The lease of `claim` without `lease = ..`. An event waits for this long after a crash.
pub const DEFAULT_LEASE: Duration = Duration::from_mins(1);

/// The shortest lease. A lease is renewed three times in its length, and a renewal takes time on the network.
pub const MIN_LEASE: Duration = Duration::from_millis(500);

/// Longer leases are shortened to this, so that no sum of times overflows.
pub(crate) const MAX_LEASE: Duration = Duration::from_hours(365 * 24);

/// Checks at compile time whether a constant lease is long enough to be renewed.
///
/// # Panics
///
/// If it is too short: while the handler is compiled, because the lease is a constant.
pub const fn checked_lease(lease: Duration) -> Duration {
    assert!(
        lease.as_nanos() >= MIN_LEASE.as_nanos(),
        "the lease is too short to be renewed: use 500 ms or more"
    );
    lease
}
