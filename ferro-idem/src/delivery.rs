//! A delivery as it is observed: by `tracing`, and by metrics. Without the features all of this does nothing.

#[cfg(feature = "metrics")]
pub(crate) use self::metered::Delivery;
#[cfg(not(feature = "metrics"))]
pub(crate) use crate::trace::Delivery;

#[cfg(feature = "metrics")]
mod metered {
    use std::time::Duration;

    use crate::error::Error;
    use crate::event::EventRef;
    use crate::metrics::Meter;
    use crate::nesting::EventPrint;
    use crate::reply::failure::Failure;
    use crate::trace::{self, Origin};

    /// Tells both, in one call each.
    pub(crate) struct Delivery {
        trace: trace::Delivery,
        meter: Option<Meter>,
    }

    impl Delivery {
        #[inline]
        pub(crate) fn new(
            guarantee: &'static str,
            handler: impl Into<Origin>,
            event: Option<EventRef<'_>>,
        ) -> Self {
            Self { trace: trace::Delivery::new(guarantee, handler, event), meter: Meter::new(guarantee) }
        }

        #[inline]
        fn record(&self, record: impl FnOnce(&Meter)) {
            if let Some(meter) = &self.meter {
                record(meter);
            }
        }

        #[inline]
        pub(crate) fn enter<T>(&self, within: impl FnOnce() -> T) -> T {
            self.trace.enter(within)
        }

        pub(crate) fn begun(&self, attempt: Option<u64>, event: EventPrint) {
            self.record(|meter| meter.first(attempt.unwrap_or(1)));
            self.trace.begun(attempt, event);
        }

        pub(crate) fn duplicate(&self, event: EventPrint) {
            self.record(Meter::duplicate);
            self.trace.duplicate(event);
        }

        #[cfg(feature = "replay")]
        pub(crate) fn duplicate_without_reply(&self, event: EventPrint) {
            self.record(Meter::duplicate);
            self.trace.duplicate_without_reply(event);
        }

        pub(crate) fn in_progress(&self, retry_after: Duration, event: EventPrint) {
            self.record(Meter::in_progress);
            self.trace.in_progress(retry_after, event);
        }

        pub(crate) fn completed(&self) {
            self.record(Meter::completed);
            self.trace.completed();
        }

        #[cfg(feature = "inbox")]
        pub(crate) fn completed_as_seen(&self) {
            self.record(Meter::completed);
            self.trace.completed_as_seen();
        }

        pub(crate) fn released(&self, reason: &'static str, failure: &Failure) {
            self.record(Meter::released);
            self.trace.released(reason, failure);
        }

        #[cfg(feature = "inbox")]
        pub(crate) fn retried(&self, attempt: u32, retry_after: Duration, error: &str) {
            self.record(Meter::retried);
            self.trace.retried(attempt, retry_after, error);
        }

        #[cfg(feature = "inbox")]
        pub(crate) fn parked(&self, attempt: u32, error: &str) {
            self.record(Meter::parked);
            self.trace.parked(attempt, error);
        }

        #[cfg(feature = "replay")]
        pub(crate) fn reply_not_kept(&self) {
            self.record(|_| Meter::reply_not_kept());
        }

        pub(crate) fn withdrawn(&self) {
            self.record(Meter::withdrawn);
            self.trace.withdrawn();
        }

        pub(crate) fn lease_lost(&self, reason: &'static str, error: Option<&Error>) {
            self.record(Meter::lease_lost);
            self.trace.lease_lost(reason, error);
        }

        pub(crate) fn failed(&self, error: &Error) {
            self.record(|meter| meter.failed(error));
            self.trace.failed(error);
        }
    }
}
