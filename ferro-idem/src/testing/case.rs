//! The ways in which a delivery goes wrong.

use std::fmt;

use super::wait::Wait;
use crate::steps::failing::Fails;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Once,
    Twice,
    Overlapping(Wait),
    Dropped(Wait),
    Panicked(Wait),
    Failed(usize, Fails),
    TakenOver(Wait),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) kind: Kind,
}

impl Case {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind }
    }

    /// For `FERRO_IDEM_CASE`.
    pub(super) fn name(self) -> String {
        match self.kind {
            Kind::Once => "once".into(),
            Kind::Twice => "twice".into(),
            Kind::Overlapping(wait) => format!("overlapping-{wait}"),
            Kind::Dropped(wait) => format!("dropped-{wait}"),
            Kind::Panicked(wait) => format!("panicked-{wait}"),
            Kind::Failed(position, Fails::BeforeEffect) => format!("failed-{}-before", position + 1),
            Kind::Failed(position, Fails::AfterEffect) => format!("failed-{}-after", position + 1),
            Kind::TakenOver(wait) => format!("taken-over-{wait}"),
        }
    }

    /// The wait of the first delivery at which something happens to it.
    pub(super) fn wait(self) -> Option<Wait> {
        match self.kind {
            Kind::Overlapping(wait) | Kind::Dropped(wait) | Kind::Panicked(wait) | Kind::TakenOver(wait) => {
                Some(wait)
            }
            Kind::Once | Kind::Twice | Kind::Failed(..) => None,
        }
    }

    pub(super) fn fault(self) -> Option<(usize, Fails)> {
        match self.kind {
            Kind::Failed(position, fault) => Some((position, fault)),
            _ => None,
        }
    }

    /// Whether the first delivery does not end well.
    pub(super) fn disturbs(self) -> bool {
        !matches!(self.kind, Kind::Once | Kind::Twice | Kind::Overlapping(_))
    }
}

/// What happened to the first delivery, before the words that say where.
impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.kind {
            Kind::Once => "The event was delivered once",
            Kind::Twice => "The event was delivered twice, one delivery after the other",
            Kind::Overlapping(_) => "The event was delivered again while the first delivery waited",
            Kind::Dropped(_) => "The delivery was dropped",
            Kind::Panicked(_) => "The delivery panicked",
            Kind::Failed(_, Fails::BeforeEffect) => "A call of the log failed before it reached the store",
            Kind::Failed(_, Fails::AfterEffect) => {
                "A call of the log failed after the store had carried it out"
            }
            Kind::TakenOver(_) => {
                "The process stopped until the lease had ended, another delivery ran, and then it went on"
            }
        })
    }
}
