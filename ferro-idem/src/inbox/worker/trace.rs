//! What a worker logs outside of a delivery's span.

#[cfg(not(feature = "tracing"))]
pub(super) use self::off::{reachable, unreachable, used_up};
#[cfg(feature = "tracing")]
pub(super) use self::on::{reachable, unreachable, used_up};

#[cfg(feature = "tracing")]
mod on {
    use std::time::Duration;

    use tracing::{info, warn};

    use crate::error::Error;
    use crate::reply::failure::with_sources;

    const TARGET: &str = "ferro_idem";

    /// The store has parked an event whose last attempt did not say how it ended.
    pub(in crate::inbox::worker) fn used_up(event_id: &str, attempt: u32) {
        let error = "the process ended during the last attempt";
        warn!(target: TARGET, %event_id, attempt, error, "parked");
    }

    pub(in crate::inbox::worker) fn unreachable(error: &Error, failures: u32, pause: Duration) {
        let retry_after_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let error = with_sources(error);
        let error = error.as_deref();
        warn!(target: TARGET, error, failures, retry_after_ms, "the inbox cannot be read");
    }

    pub(in crate::inbox::worker) fn reachable(failures: u32) {
        info!(target: TARGET, failures, "the inbox can be read again");
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::time::Duration;

    use crate::error::Error;

    pub(in crate::inbox::worker) fn used_up(_: &str, _: u32) {}
    pub(in crate::inbox::worker) fn unreachable(_: &Error, _: u32, _: Duration) {}
    pub(in crate::inbox::worker) fn reachable(_: u32) {}
}
