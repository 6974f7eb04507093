//! Metrics, over the facade crate [`metrics`](https://docs.rs/metrics). Install a recorder of yours, such as
//! `metrics-exporter-prometheus`, before the first delivery: one that began without a recorder is not recorded, and
//! costs a handful of instructions.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | [`DELIVERIES`] | counter | `guarantee`, `outcome`: `first`, `retry`, `duplicate`, `in_progress`, `failed` |
//! | [`BODIES`] | counter | `guarantee`, `outcome`: `processed`, `released`, `lease_lost`, `withdrawn`, `failed`; of the inbox `retried`, `parked` |
//! | [`DURATION`] | histogram, seconds | `guarantee` |
//! | [`ERRORS`] | counter | `kind`: `store`, `lease_lost`, `invalid_id`, `lease_too_short`, `nested`, `other`; of `replay` also `mismatch`, and `reply` for one that cannot be kept or read |
//! | [`EVENTS`] | gauge | `state`: `claimed`, `lease-ended`, `released`, `processed` |
//! | [`OLDEST`] | gauge, seconds | `state` |
//! | [`INBOX_EVENTS`] | gauge | `state`: `waiting`, `backing-off`, `running`, `lease-ended`, `parked` |
//! | [`INBOX_OLDEST`] | gauge, seconds | `state` |
//!
//! `guarantee` is `fence`, `claim`, `transaction` or `inbox`. No label holds an event's id or type, so the number
//! of series does not depend on what senders send: there are 78 at most, without the histogram's buckets.
//!
//! - A replayed reply is a `duplicate`, also if the reply has expired.
//! - [`DELIVERIES`] counts how each delivery began, and [`BODIES`] how each body ended under a claim, a transaction or the
//!   inbox. A fence checks before the body and does not see its end.
//! - [`DURATION`] is the time from the delivery's arrival at the attribute to its answer. For a fence that runs its body,
//!   it is the time of the mark.
//! - [`EVENTS`] and [`OLDEST`] are set by [`record`], because counting reads the whole log: call it every few minutes,
//!   in one process. [`INBOX_EVENTS`] and [`INBOX_OLDEST`] are set by `record_inbox` in the same way.
//!
//! ```
//! use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog, metrics};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
//! metrics::describe(); // after the recorder is installed
//!
//! let log = MemoryProcessedLog::new();
//! metrics::record(&log.operations().counts().await?); // every few minutes
//! # Ok(()) }
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use ::metrics::{
    NoopRecorder, Recorder, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram, with_recorder,
};

use crate::error::Error;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
use crate::inbox::operations::{InboxCounts, InboxState};
use crate::log::Marking;
use crate::nesting::Frame;
use crate::operations::{Counts, EventState};

/// `ferro_idem_deliveries_total`: how deliveries began.
pub const DELIVERIES: &str = "ferro_idem_deliveries_total";
/// `ferro_idem_bodies_total`: how bodies ended.
pub const BODIES: &str = "ferro_idem_bodies_total";
/// `ferro_idem_delivery_duration_seconds`: how long deliveries took.
pub const DURATION: &str = "ferro_idem_delivery_duration_seconds";
/// `ferro_idem_errors_total`: deliveries that were answered with an error of the log.
pub const ERRORS: &str = "ferro_idem_errors_total";
/// `ferro_idem_events`: how many events the log has.
pub const EVENTS: &str = "ferro_idem_events";
/// `ferro_idem_oldest_event_age_seconds`: how old the oldest event is.
pub const OLDEST: &str = "ferro_idem_oldest_event_age_seconds";
/// `ferro_idem_inbox_events`: how many events the inbox has that are not processed.
pub const INBOX_EVENTS: &str = "ferro_idem_inbox_events";
/// `ferro_idem_inbox_oldest_event_age_seconds`: how old the oldest of them is.
pub const INBOX_OLDEST: &str = "ferro_idem_inbox_oldest_event_age_seconds";

/// Tells the recorder what the metrics mean, and their units. The [module](self) has an example.
pub fn describe() {
    describe_counter!(DELIVERIES, "Deliveries by how they began.");
    describe_counter!(
        BODIES,
        "Bodies of handlers by how they ended. A fence does not see the end of its body."
    );
    describe_histogram!(DURATION, Unit::Seconds, "The time from the arrival of a delivery to its answer.");
    describe_counter!(ERRORS, "Deliveries that were answered with an error of the log.");
    describe_gauge!(EVENTS, "Events in the log.");
    describe_gauge!(OLDEST, Unit::Seconds, "The age of the oldest event.");
    describe_gauge!(INBOX_EVENTS, "Events in the inbox that are not processed.");
    describe_gauge!(INBOX_OLDEST, Unit::Seconds, "The age of the oldest event in the inbox.");
}

/// Records what the log holds. The [module](self) has an example.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub fn record(counts: &Counts) {
    for state in EventState::ALL {
        let of = counts.of(state);
        gauge!(EVENTS, "state" => state.as_str()).set(of.events as f64);
        gauge!(OLDEST, "state" => state.as_str()).set(seconds_since(of.oldest));
    }
}

/// Records what the inbox holds.
///
/// ```
/// # use ferro_idem::inbox::operations::InboxOperations;
/// # use ferro_idem::{Error, metrics};
/// # async fn example(operations: &dyn InboxOperations) -> Result<(), Error> {
/// metrics::record_inbox(&operations.counts().await?); // every few minutes, in one process
/// # Ok(()) }
/// ```
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub fn record_inbox(counts: &InboxCounts) {
    for state in InboxState::UNFINISHED {
        let of = counts.of(state);
        gauge!(INBOX_EVENTS, "state" => state.as_str()).set(of.events as f64);
        gauge!(INBOX_OLDEST, "state" => state.as_str()).set(seconds_since(of.oldest));
    }
}

/// 0 if there is none.
fn seconds_since(at: Option<SystemTime>) -> f64 {
    at.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default().as_secs_f64()
}

/// The metrics of one delivery.
pub(crate) struct Meter {
    guarantee: Guarantee,
    /// Whether the body has begun.
    has_begun: AtomicBool,
    started: Instant,
}

#[derive(Clone, Copy)]
enum Guarantee {
    Fence,
    Claim,
    Transaction,
    Inbox,
}

/// Whether what is recorded arrives anywhere. Asked once for each delivery, because reading the clock costs more than
/// everything else that a delivery does here.
///
/// The facade does not tell, so the recorder's vtable is compared with that of the one that it uses without any. Two
/// types with one vtable do the same. A compiler that made two vtables for one type would only cost the time.
#[inline]
fn has_recorder() -> bool {
    with_recorder(|recorder| {
        let recorder: *const dyn Recorder = recorder;
        let without_any: *const dyn Recorder = recorder.cast::<NoopRecorder>();
        !std::ptr::eq(recorder, without_any)
    })
}

/// Records how a fenced delivery begins. A fence has no other metrics, so that the handler's future stays as it is, and a
/// delivery without a recorder only finds out that there is none.
#[inline]
pub(crate) fn fenced<'f>(marking: Marking<'f>, key: &'f str, frame: Frame) -> Marking<'f> {
    match Meter::new("fence") {
        Some(meter) => recorded(meter, marking, key, frame),
        None => marking,
    }
}

#[inline(never)]
fn recorded<'f>(meter: Meter, marking: Marking<'f>, key: &'f str, frame: Frame) -> Marking<'f> {
    Box::pin(async move {
        // Afterwards the fence finds the same, if it is asked again.
        let marked = match marking.await {
            Ok(false) => frame.refuse_nested_duplicate(key).map(|()| false),
            marked => marked,
        };
        match &marked {
            Ok(true) => meter.first(1),
            Ok(false) => meter.duplicate(),
            Err(error) => meter.failed(error),
        }
        marked
    })
}

/// Records a fenced delivery that was refused before the log was asked.
pub(crate) fn fence_refused(error: &Error) {
    if let Some(meter) = Meter::new("fence") {
        meter.failed(error);
    }
}

/// Names and labels are literals, so that no key is built for each delivery.
macro_rules! of_guarantee {
    ($guarantee:expr, $kind:ident!($name:literal $(, $label:literal => $value:literal)*)) => {
        match $guarantee {
            Guarantee::Fence => $kind!($name, "guarantee" => "fence" $(, $label => $value)*),
            Guarantee::Claim => $kind!($name, "guarantee" => "claim" $(, $label => $value)*),
            Guarantee::Transaction => $kind!($name, "guarantee" => "transaction" $(, $label => $value)*),
            Guarantee::Inbox => $kind!($name, "guarantee" => "inbox" $(, $label => $value)*),
        }
    };
}

macro_rules! delivered {
    ($meter:expr, $outcome:literal) => {
        of_guarantee!($meter.guarantee, counter!("ferro_idem_deliveries_total", "outcome" => $outcome)).increment(1)
    };
}

macro_rules! ended {
    ($meter:expr, $outcome:literal) => {
        of_guarantee!($meter.guarantee, counter!("ferro_idem_bodies_total", "outcome" => $outcome)).increment(1)
    };
}

impl Meter {
    /// `None`: there is no recorder, so nothing is recorded and no clock is read.
    #[inline]
    pub(crate) fn new(guarantee: &'static str) -> Option<Self> {
        if !has_recorder() {
            return None;
        }
        let guarantee = match guarantee {
            "claim" => Guarantee::Claim,
            "transaction" => Guarantee::Transaction,
            "inbox" => Guarantee::Inbox,
            _ => Guarantee::Fence,
        };
        Some(Self { guarantee, has_begun: AtomicBool::new(false), started: Instant::now() })
    }

    fn answered(&self) {
        of_guarantee!(self.guarantee, histogram!("ferro_idem_delivery_duration_seconds"))
            .record(self.started.elapsed().as_secs_f64());
    }

    pub(crate) fn first(&self, attempt: u64) {
        self.has_begun.store(true, Ordering::Relaxed);
        if attempt > 1 {
            delivered!(self, "retry");
        } else {
            delivered!(self, "first");
        }
        if let Guarantee::Fence = self.guarantee {
            self.answered();
        }
    }

    pub(crate) fn duplicate(&self) {
        delivered!(self, "duplicate");
        self.answered();
    }

    pub(crate) fn in_progress(&self) {
        delivered!(self, "in_progress");
        self.answered();
    }

    pub(crate) fn completed(&self) {
        ended!(self, "processed");
        self.answered();
    }

    pub(crate) fn released(&self) {
        ended!(self, "released");
        self.answered();
    }

    /// The event is released, for a reason that the handler's author has to know.
    #[cfg(feature = "replay")]
    pub(crate) fn reply_not_kept() {
        counter!("ferro_idem_errors_total", "kind" => "reply").increment(1);
    }

    #[cfg(feature = "inbox")]
    pub(crate) fn retried(&self) {
        ended!(self, "retried");
        self.answered();
    }

    #[cfg(feature = "inbox")]
    pub(crate) fn parked(&self) {
        ended!(self, "parked");
        self.answered();
    }

    pub(crate) fn withdrawn(&self) {
        ended!(self, "withdrawn");
        self.answered();
    }

    pub(crate) fn lease_lost(&self) {
        ended!(self, "lease_lost");
        counter!("ferro_idem_errors_total", "kind" => "lease_lost").increment(1);
        self.answered();
    }

    pub(crate) fn failed(&self, error: &Error) {
        if self.has_begun.load(Ordering::Relaxed) {
            ended!(self, "failed");
        } else {
            delivered!(self, "failed");
        }
        match error {
            Error::Store { .. } => counter!("ferro_idem_errors_total", "kind" => "store"),
            Error::LeaseLost { .. } => counter!("ferro_idem_errors_total", "kind" => "lease_lost"),
            Error::InvalidEventId { .. } => counter!("ferro_idem_errors_total", "kind" => "invalid_id"),
            Error::LeaseTooShort { .. } => counter!("ferro_idem_errors_total", "kind" => "lease_too_short"),
            Error::Nested { .. } => counter!("ferro_idem_errors_total", "kind" => "nested"),
            Error::Mismatch { .. } => counter!("ferro_idem_errors_total", "kind" => "mismatch"),
            Error::ReplyGone { .. } | Error::ReplyNotKept { .. } | Error::ReplyUnreadable { .. } => {
                counter!("ferro_idem_errors_total", "kind" => "reply")
            }
            _ => counter!("ferro_idem_errors_total", "kind" => "other"),
        }
        .increment(1);
        self.answered();
    }
}
