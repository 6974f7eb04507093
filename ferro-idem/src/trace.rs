//! The span of a delivery, and its events. Without the feature `tracing` all of this does nothing. No payload
//! is recorded. `docs/tracing.md` lists names, levels, fields and units.

use std::fmt;
#[cfg(feature = "inbox")]
use std::panic::Location;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::off::Delivery;
#[cfg(feature = "tracing")]
pub(crate) use self::on::Delivery;
use crate::nesting::Handler;

/// The origin of a delivery.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Handler(Handler),
    /// The place in the application that made an inbox's worker.
    #[cfg(feature = "inbox")]
    Worker(&'static Location<'static>),
}

#[cfg(feature = "tracing")]
impl Origin {
    fn annotated(self) -> Option<Handler> {
        match self {
            Self::Handler(handler) => Some(handler),
            #[cfg(feature = "inbox")]
            Self::Worker(_) => None,
        }
    }
}

impl From<Handler> for Origin {
    fn from(handler: Handler) -> Self {
        Self::Handler(handler)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler(handler) => handler.fmt(formatter),
            #[cfg(feature = "inbox")]
            Self::Worker(location) => location.fmt(formatter),
        }
    }
}

/// Why a body ended without a reply.
#[derive(Clone, Copy)]
pub(crate) enum Interruption {
    Panic,
    HangUp,
}

impl Interruption {
    /// Why a body is dropped, by whether its poll has not returned.
    pub(crate) fn of(is_polled: bool) -> Self {
        if is_polled { Self::Panic } else { Self::HangUp }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "the handler panicked",
            Self::HangUp => "the handler was dropped: the client hung up, or the server is stopping",
        }
    }
}

#[cfg(feature = "tracing")]
mod on {
    use std::time::{Duration, Instant};

    use tracing::{Span, debug, field, info, info_span, warn};

    use super::Origin;
    use crate::error::Error;
    use crate::event::EventRef;
    use crate::nesting::EventPrint;
    use crate::reply::failure::{Failure, with_sources};
    use crate::shared_keys;

    /// The target of the span and of all events.
    const TARGET: &str = "ferro_idem";

    /// It is on the heap, so that a handler's future does not grow with the feature.
    pub struct Delivery(Box<Facts>);

    struct Facts {
        span: Span,
        /// Events at WARN repeat these fields, because a filter may drop the span.
        event_id: Box<str>,
        guarantee: &'static str,
        handler: Origin,
        started: Instant,
    }

    impl Delivery {
        pub(crate) fn new(
            guarantee: &'static str,
            handler: impl Into<Origin>,
            event: Option<EventRef<'_>>,
        ) -> Self {
            let handler = handler.into();
            let span = info_span!(
                target: TARGET,
                "delivery",
                event_id = event.map(|event| event.id()),
                event_type = event.and_then(|event| event.recorded_type()).as_deref(),
                guarantee,
                handler = %handler,
                attempt = field::Empty,
            );
            let event_id = event.map(|event| event.id()).unwrap_or_default().into();
            Self(Box::new(Facts { span, event_id, guarantee, handler, started: Instant::now() }))
        }

        pub(crate) fn enter<T>(&self, within: impl FnOnce() -> T) -> T {
            self.0.span.in_scope(within)
        }

        fn duration_us(&self) -> u64 {
            u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX)
        }

        /// The body begins. A log of transactions does not count attempts.
        pub(crate) fn begun(&self, attempt: Option<u64>, event: EventPrint) {
            self.0.span.record("attempt", attempt);
            if let Some(handler) = self.0.handler.annotated() {
                shared_keys::remember(event, handler);
            }
            self.enter(|| match attempt {
                None => debug!(target: TARGET, "begun"),
                Some(attempt @ ..=1) => debug!(target: TARGET, attempt, "first"),
                Some(attempt) => info!(target: TARGET, attempt, "retry"),
            });
        }

        pub(crate) fn duplicate(&self, event: EventPrint) {
            self.enter(|| info!(target: TARGET, duration_us = self.duration_us(), "duplicate"));
            self.warn_if_shared(event);
        }

        /// The duplicate of an event whose reply is no longer kept, or was never.
        #[cfg(feature = "replay")]
        pub(crate) fn duplicate_without_reply(&self, event: EventPrint) {
            let duration_us = self.duration_us();
            self.enter(|| info!(target: TARGET, duration_us, "duplicate, and no reply is kept"));
            self.warn_if_shared(event);
        }

        pub(crate) fn in_progress(&self, retry_after: Duration, event: EventPrint) {
            let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            let duration_us = self.duration_us();
            self.enter(|| info!(target: TARGET, retry_after_ms, duration_us, "in progress"));
            self.warn_if_shared(event);
        }

        fn warn_if_shared(&self, event: EventPrint) {
            let Some(handler) = self.0.handler.annotated() else { return };
            if let Some(other) = shared_keys::other_handler(event, handler) {
                let event_id = &self.0.event_id;
                let (handler, other) = handler.told_apart(other);
                self.enter(|| {
                    warn!(
                        target: TARGET,
                        %event_id,
                        %handler,
                        other_handler = %other,
                        "two handlers share their events on one log, so one of them does not run: give them a \
                         `scope` each"
                    );
                });
            }
        }

        pub(crate) fn completed(&self) {
            self.enter(|| info!(target: TARGET, duration_us = self.duration_us(), "processed"));
        }

        /// The inbox takes the event for processed, only because a plain fence has seen it.
        #[cfg(feature = "inbox")]
        pub(crate) fn completed_as_seen(&self) {
            let Facts { event_id, handler, .. } = &*self.0;
            let duration_us = self.duration_us();
            self.enter(|| {
                warn!(
                    target: TARGET,
                    %event_id, %handler, duration_us,
                    "a plain fence has seen the event before, so it is taken for processed"
                );
            });
        }

        /// The claim is released or the transaction rolled back, and the next delivery runs.
        pub(crate) fn released(&self, reason: &'static str, Failure { error, status }: &Failure) {
            let Facts { event_id, guarantee, handler, .. } = &*self.0;
            let (error, duration_us) = (error.as_deref(), self.duration_us());
            self.enter(|| {
                warn!(
                    target: TARGET,
                    %event_id, guarantee, %handler, reason, error, status, duration_us,
                    "released"
                );
            });
        }

        pub(crate) fn body_succeeded(&self) {
            self.completed();
        }

        /// A fenced body failed. It never runs again.
        pub(crate) fn body_failed(&self, reason: &'static str, Failure { error, status }: &Failure) {
            let Facts { event_id, guarantee, handler, .. } = &*self.0;
            let (error, duration_us) = (error.as_deref(), self.duration_us());
            self.enter(|| {
                warn!(
                    target: TARGET,
                    %event_id, guarantee, %handler, reason, error, status, duration_us,
                    "body failed, and does not run again"
                );
            });
        }

        /// The inbox delivers the event again later.
        #[cfg(feature = "inbox")]
        pub(crate) fn retried(&self, attempt: u32, retry_after: Duration, error: &str) {
            let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            let duration_us = self.duration_us();
            self.enter(|| info!(target: TARGET, attempt, retry_after_ms, error, duration_us, "retried"));
        }

        /// The inbox delivers the event no more, until somebody replays it.
        #[cfg(feature = "inbox")]
        pub(crate) fn parked(&self, attempt: u32, error: &str) {
            let Facts { event_id, handler, .. } = &*self.0;
            let duration_us = self.duration_us();
            self.enter(|| warn!(target: TARGET, %event_id, %handler, attempt, error, duration_us, "parked"));
        }

        /// The release tells it.
        #[cfg(all(feature = "replay", not(feature = "metrics")))]
        #[expect(clippy::unused_self, reason = "for metrics")]
        pub(crate) fn reply_not_kept(&self) {}

        /// The claim was taken back before a body ran.
        pub(crate) fn withdrawn(&self) {
            self.enter(|| info!(target: TARGET, duration_us = self.duration_us(), "withdrawn"));
        }

        pub(crate) fn lease_lost(&self, reason: &'static str, error: Option<&Error>) {
            let Facts { event_id, guarantee, handler, .. } = &*self.0;
            let duration_us = self.duration_us();
            let error = error.and_then(|error| with_sources(error));
            let error = error.as_deref();
            self.enter(|| {
                warn!(target: TARGET, %event_id, guarantee, %handler, reason, error, duration_us, "lease lost");
            });
        }

        /// The delivery is answered with this error.
        pub(crate) fn failed(&self, error: &Error) {
            let Facts { event_id, guarantee, handler, .. } = &*self.0;
            let duration_us = self.duration_us();
            let error = with_sources(error);
            let error = error.as_deref();
            self.enter(
                || warn!(target: TARGET, %event_id, guarantee, %handler, error, duration_us, "failed"),
            );
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::time::Duration;

    use super::Origin;
    use crate::error::Error;
    use crate::event::EventRef;
    use crate::nesting::EventPrint;
    use crate::reply::failure::Failure;

    pub struct Delivery;

    #[allow(clippy::unused_self)]
    impl Delivery {
        #[inline]
        pub(crate) fn new(_: &'static str, _: impl Into<Origin>, _: Option<EventRef<'_>>) -> Self {
            Self
        }
        #[inline]
        pub(crate) fn enter<T>(&self, within: impl FnOnce() -> T) -> T {
            within()
        }
        #[inline]
        pub(crate) fn begun(&self, _: Option<u64>, _: EventPrint) {}
        #[inline]
        pub(crate) fn duplicate(&self, _: EventPrint) {}
        #[cfg(feature = "replay")]
        #[inline]
        pub(crate) fn duplicate_without_reply(&self, _: EventPrint) {}
        #[inline]
        pub(crate) fn in_progress(&self, _: Duration, _: EventPrint) {}
        #[inline]
        pub(crate) fn completed(&self) {}
        #[cfg(feature = "inbox")]
        #[inline]
        pub(crate) fn completed_as_seen(&self) {}
        #[inline]
        pub(crate) fn released(&self, _: &'static str, _: &Failure) {}
        #[cfg(all(feature = "replay", not(feature = "metrics")))]
        #[inline]
        pub(crate) fn reply_not_kept(&self) {}
        #[inline]
        pub(crate) fn body_succeeded(&self) {}
        #[inline]
        pub(crate) fn body_failed(&self, _: &'static str, _: &Failure) {}
        #[cfg(feature = "inbox")]
        #[inline]
        pub(crate) fn retried(&self, _: u32, _: Duration, _: &str) {}
        #[cfg(feature = "inbox")]
        #[inline]
        pub(crate) fn parked(&self, _: u32, _: &str) {}
        #[inline]
        pub(crate) fn withdrawn(&self) {}
        #[inline]
        pub(crate) fn lease_lost(&self, _: &'static str, _: Option<&Error>) {}
        #[inline]
        pub(crate) fn failed(&self, _: &Error) {}
    }
}
