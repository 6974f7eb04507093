//! How long a lease may be.

use std::time::Duration;

/// The lease of `claim` without `lease = ..`. An event waits for this long after a crash.
pub const DEFAULT_LEASE: Duration = Duration::from_mins(1);

/// The shortest lease. A lease is renewed three times in its length, and a renewal takes time on the network.
pub const MIN_LEASE: Duration = Duration::from_millis(500);

/// Longer leases are shortened to this, so that no sum of times overflows.
pub(crate) const MAX_LEASE: Duration = Duration::from_hours(365 * 24);
