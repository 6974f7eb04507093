//! A wait of a delivery, named so that another run of the same handler has it too.

use std::fmt;

use crate::steps::Step;
use crate::steps::told::{End, Plan};

/// A wait, counted within the call of the log that is under way, or since the last one.
///
/// How often a call waits is up to its database, and differs from run to run. Counted from the delivery's beginning, a
/// wait of the body would be another one each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wait {
    place: Place,
    /// Counted from 1.
    nth: usize,
}

/// A part of a delivery: after so many calls of the log, or within the next one. The order is that of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    calls: usize,
    is_within_next: bool,
}

impl Place {
    /// Where the delivery is. Renewals are no places: they go on beside the body.
    pub(super) fn of(delivery: usize, plan: &Plan) -> Self {
        let calls = plan.seen.iter().filter(|seen| seen.delivery == delivery && seen.step != Step::Renew);
        let (is_open, ended): (Vec<_>, Vec<_>) =
            calls.map(|seen| seen.end).partition(|end| *end == End::Open);
        Self { calls: ended.len(), is_within_next: !is_open.is_empty() }
    }
}

impl Wait {
    pub(super) fn is_within_a_call(self) -> bool {
        self.place.is_within_next
    }

    /// The next wait, which is at that place.
    pub(super) fn next(self, place: Place) -> Self {
        if place == self.place { Self { nth: self.nth + 1, ..self } } else { Self { place, nth: 1 } }
    }
}

/// As part of a case's name.
impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place: Place { calls, is_within_next }, nth } = self;
        if *is_within_next {
            write!(formatter, "in-{}-at-{nth}", calls + 1)
        } else {
            write!(formatter, "after-{calls}-at-{nth}")
        }
    }
}
