//! What a change by hand does to an event's row, the same in every log.

use super::event::{EventState, LoggedEvent};

/// How a log changes the row of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowChange {
    Release,
    Complete,
    Delete,
}

/// What each operation does to an event as it was seen, or why it is not possible.
impl RowChange {
    pub(crate) fn of_release(seen: &LoggedEvent) -> Result<Self, &'static str> {
        match seen.state() {
            EventState::Claimed | EventState::LeaseEnded => Ok(Self::Release),
            EventState::Released => Err("The event is released already, and free for its next delivery."),
            EventState::Processed => Err("The event is processed. Forget it to let it run again."),
        }
    }

    pub(crate) fn of_complete(seen: &LoggedEvent) -> Result<Self, &'static str> {
        match seen.state() {
            EventState::Processed => Err("The event is processed already."),
            EventState::Claimed | EventState::LeaseEnded | EventState::Released => Ok(Self::Complete),
        }
    }

    /// Whether an event can have a reply to forget.
    pub(crate) fn of_reply(seen: &LoggedEvent) -> Result<(), &'static str> {
        match (seen.state(), seen.reply_until()) {
            (EventState::Processed, Some(_)) => Ok(()),
            (EventState::Processed, None) => Err("No reply is kept for the event."),
            _ => Err("The event is not processed, so no reply is kept for it."),
        }
    }

    /// The row of an event that was claimed stays, so that its fencing token never falls.
    pub(crate) fn of_forget(seen: &LoggedEvent) -> Result<Self, &'static str> {
        match (seen.state(), seen.fencing_token()) {
            (EventState::Processed, 0) => Ok(Self::Delete),
            (EventState::Processed, _) => Ok(Self::Release),
            (EventState::Released, _) => Err("The event is released, and its next delivery runs."),
            (EventState::Claimed | EventState::LeaseEnded, _) => {
                Err("The event is claimed. Release it to let its next delivery run.")
            }
        }
    }
}
