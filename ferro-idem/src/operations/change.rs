//! What a change by hand came to.

use std::fmt;

use super::event::LoggedEvent;

/// What a change by hand came to, to an event of a log or, as `Change<InboxEvent>`, of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<E = LoggedEvent> {
    /// The event was as it was seen, and is changed.
    Done,
    /// The event was not as it was seen any more, so nothing was changed. This is how it is now; `None` if the log
    /// does not have it any more.
    TooLate(Option<E>),
    /// This change does not apply to an event of that state, or to this log. Nothing was changed. The text is a full
    /// sentence that says what applies instead.
    NotPossible(&'static str),
}

impl<E> Change<E> {
    /// Whether the event was changed.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// Something that a log cannot say or do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lack {
    /// The plain table has no columns for claims: every event counts as processed, and `forget` tells versions of an
    /// event apart only by the time at which it was received.
    Claims,
    /// The types of events are not kept.
    Types,
    /// Times are not kept, so events have no age: nothing can be listed by age, or purged.
    Times,
    /// The time at which an event was received is not kept. Its age is counted from its last change.
    ReceivedAt,
}

impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Claims => {
                "The table is a plain one without columns for claims. Run the statements of UPGRADE to add them."
            }
            Self::Types => "The types of events are not kept.",
            Self::Times => "Times are not kept, so nothing can be listed by age, or purged.",
            Self::ReceivedAt => "Ages are counted from the last change of an event.",
        })
    }
}
