//! What a delivery tells `tracing`: one span, and an event for each thing that happens to it. With
//! the feature off, nothing. Never the payload.

use std::future::{Future, poll_fn};
use std::pin::Pin;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::off::Delivery;
#[cfg(feature = "tracing")]
pub(crate) use self::on::Delivery;

impl Delivery {
    /// Runs the body within the delivery's span.
    pub async fn run<F: Future>(&self, mut body: Pin<&mut F>) -> F::Output {
        poll_fn(|context| self.enter(|| body.as_mut().poll(context))).await
    }
}

#[cfg(feature = "tracing")]
mod on {
    use std::time::{Duration, Instant};

    use tracing::{Span, debug, field, info, info_span, warn};

    use crate::error::Error;
    use crate::event::EventRef;

    pub struct Delivery {
        span: Span,
        started: Instant,
    }

    impl Delivery {
        pub(crate) fn new(guarantee: &'static str, event: Option<EventRef<'_>>) -> Self {
            let span = info_span!(
                "delivery",
                event_id = event.map(|event| event.id()),
                event_type = event.and_then(|event| event.recorded_type()).as_deref(),
                guarantee,
                attempt = field::Empty,
            );
            Self { span, started: Instant::now() }
        }

        pub(crate) fn enter<T>(&self, within: impl FnOnce() -> T) -> T {
            self.span.in_scope(within)
        }

        pub(crate) fn first(&self, attempt: u64) {
            self.span.record("attempt", attempt);
            self.enter(|| {
                if attempt > 1 {
                    info!(attempt, "taken over");
                } else {
                    debug!("first");
                }
            });
        }

        pub(crate) fn duplicate(&self) {
            self.enter(|| info!(duration = ?self.started.elapsed(), "duplicate"));
        }

        pub(crate) fn in_progress(&self, retry_after: Duration) {
            self.enter(|| info!(?retry_after, duration = ?self.started.elapsed(), "in progress"));
        }

        pub(crate) fn completed(&self) {
            self.enter(|| info!(duration = ?self.started.elapsed(), "processed"));
        }

        pub(crate) fn released(&self, reason: &'static str) {
            self.enter(|| warn!(reason, duration = ?self.started.elapsed(), "released"));
        }

        pub(crate) fn lease_lost(&self) {
            self.enter(|| warn!(duration = ?self.started.elapsed(), "lease lost"));
        }

        pub(crate) fn failed(&self, error: &Error) {
            self.enter(|| warn!(%error, duration = ?self.started.elapsed(), "failed"));
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::time::Duration;

    use crate::error::Error;
    use crate::event::EventRef;

    pub struct Delivery;

    #[allow(clippy::unused_self)]
    impl Delivery {
        #[inline]
        pub(crate) fn new(_: &'static str, _: Option<EventRef<'_>>) -> Self {
            Self
        }
        #[inline]
        pub(crate) fn enter<T>(&self, within: impl FnOnce() -> T) -> T {
            within()
        }
        #[inline]
        pub(crate) fn first(&self, _: u64) {}
        #[inline]
        pub(crate) fn duplicate(&self) {}
        #[inline]
        pub(crate) fn in_progress(&self, _: Duration) {}
        #[inline]
        pub(crate) fn completed(&self) {}
        #[inline]
        pub(crate) fn released(&self, _: &'static str) {}
        #[inline]
        pub(crate) fn lease_lost(&self) {}
        #[inline]
        pub(crate) fn failed(&self, _: &Error) {}
    }
}
