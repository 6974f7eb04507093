//! What the templates show of an event in the inbox.

use crate::inbox::operations::{InboxEvent, InboxState};
use crate::operations::text::{ago, duration, escaped};

/// How much of an error a row shows. The event's page shows all of it.
const MAX_SHOWN: usize = 90;

/// An event as a row shows it.
pub(super) struct EventView {
    /// The key as links and forms carry it: browsers change line breaks in forms.
    pub(super) hex: String,
    pub(super) key: String,
    pub(super) event_type: String,
    pub(super) state: &'static str,
    pub(super) attempts: u32,
    pub(super) age: String,
    pub(super) next: String,
    pub(super) error: String,
}

impl EventView {
    pub(super) fn new(event: &InboxEvent) -> Self {
        let error = event.last_error().unwrap_or_default();
        let cut = error.char_indices().nth(MAX_SHOWN).map(|(at, _)| at);
        let shown = cut.and_then(|at| error.get(..at)).map(|start| format!("{}…", escaped(start)));
        Self {
            hex: hex::encode(event.key()),
            key: escaped(event.key()),
            event_type: event.event_type().map(escaped).unwrap_or_default(),
            state: event.state().as_str(),
            attempts: event.attempts(),
            age: event.received_at().map(ago).unwrap_or_default(),
            next: next(event),
            error: shown.unwrap_or_else(|| escaped(error)),
        }
    }
}

/// When something happens to it, in a few words.
fn next(event: &InboxEvent) -> String {
    match (event.next_attempt_in(), event.lease_left()) {
        _ if event.waits_for_another() => "after another of its key".to_owned(),
        (Some(left), _) if left.is_zero() => "now".to_owned(),
        (Some(left), _) => format!("in {}", duration(left)),
        (_, Some(left)) => format!("lease {}", duration(left)),
        (None, None) => String::new(),
    }
}

/// What happens to an event of this state, in a sentence.
pub(super) fn outlook(event: &InboxEvent) -> String {
    match event.state() {
        _ if event.waits_for_another() => "It waits for an earlier event of its order key.".to_owned(),
        InboxState::Waiting => "The next free worker takes it.".to_owned(),
        InboxState::BackingOff => {
            let left = event.next_attempt_in().map(duration).unwrap_or_default();
            format!("Its last attempt failed, and the next one is due in {left}.")
        }
        InboxState::Running => {
            let left = event.lease_left().map(duration).unwrap_or_default();
            format!("A worker has it. Its lease has {left} left, and is renewed while the body runs.")
        }
        InboxState::LeaseEnded => "Its worker is gone: the next worker takes it over.".to_owned(),
        InboxState::Parked => "It is not delivered, until somebody replays or discards it.".to_owned(),
        InboxState::Processed => {
            "It was processed or discarded. Its body is deleted, and the sender's repetitions are duplicates."
                .to_owned()
        }
    }
}

/// What a state means, on a card of the overview.
pub(super) fn meaning(state: InboxState) -> &'static str {
    match state {
        InboxState::Waiting => "a free worker takes them",
        InboxState::BackingOff => "failed, due again later",
        InboxState::Running => "a worker has them",
        InboxState::LeaseEnded => "the next worker takes over",
        InboxState::Parked => "to be replayed or discarded",
        InboxState::Processed => "done",
    }
}
