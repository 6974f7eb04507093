//! How long a lease may be.

use std::time::Duration;

/// The lease of `claim` without `lease = ..`: how long an event waits after a crash.
pub const DEFAULT_LEASE: Duration = Duration::from_mins(1);

/// A lease is renewed three times in its length, and a renewal needs its time on the wire.
pub const MIN_LEASE: Duration = Duration::from_millis(500);

/// Longer ones are cut to this, so that no sum of times overflows.
pub(crate) const MAX_LEASE: Duration = Duration::from_hours(365 * 24);
