//! Events of an inbox as tables and JSON show them.

use console::Style;
use serde_json::{Value, json};

use crate::cli::shown::{Shown, at, millis, plain, story};
use crate::inbox::operations::{InboxEvent, InboxState};
use crate::operations::text::{ago, duration, escaped, time};

pub(super) fn style_of(state: InboxState) -> Style {
    match state {
        InboxState::Waiting => Style::new(),
        InboxState::BackingOff => Style::new().yellow(),
        InboxState::Running => Style::new().cyan(),
        InboxState::LeaseEnded | InboxState::Parked => Style::new().red(),
        InboxState::Processed => Style::new().green(),
    }
}

/// What becomes of the event if nobody does anything.
fn next(event: &InboxEvent) -> &'static str {
    match event.state() {
        InboxState::Waiting if event.waits_for_another() => "waits for an earlier event of its order key",
        InboxState::Waiting => "a worker takes it",
        InboxState::BackingOff => "a worker takes it when its pause is over",
        InboxState::Running => "its worker ends it, or its lease ends",
        InboxState::LeaseEnded => "a worker takes it over",
        InboxState::Parked => "nothing, until it is replayed or discarded",
        InboxState::Processed => "further deliveries are duplicates",
    }
}

impl Shown for InboxEvent {
    const HEADER: &'static [&'static str] =
        &["KEY", "TYPE", "STATE", "ATTEMPTS", "AGE", "NEXT", "LAST ERROR"];
    const KEY_NAME: &'static str = "key";

    fn key(&self) -> &str {
        InboxEvent::key(self)
    }

    fn fencing_token(&self) -> u64 {
        InboxEvent::fencing_token(self)
    }

    fn row(&self) -> Vec<(String, Style)> {
        vec![
            plain(escaped(self.key())),
            plain(self.event_type().map(escaped).unwrap_or_default()),
            (self.state().to_string(), style_of(self.state())),
            plain(self.attempts().to_string()),
            plain(self.received_at().map(ago).unwrap_or_default()),
            plain(self.next_attempt_in().map(duration).unwrap_or_default()),
            plain(self.last_error().map(escaped).unwrap_or_default()),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "key": self.key(),
            "sender": self.sender(),
            "id": self.id(),
            "type": self.event_type(),
            "order_key": self.order_key(),
            "state": self.state().as_str(),
            "waits_for_another": self.waits_for_another(),
            "attempts": self.attempts(),
            "fencing_token": self.fencing_token(),
            "received_at": self.received_at().map(time),
            "next_attempt_in_ms": self.next_attempt_in().map(millis),
            "lease_left_ms": self.lease_left().map(millis),
            "owner": self.owner().map(|owner| hex::encode(owner.as_bytes())),
            "last_error": self.last_error(),
            "stored_bytes": self.stored_bytes(),
            "version": self.version(),
        })
    }

    fn story(&self) -> Vec<(&'static str, String, Style)> {
        let rows = [
            ("sender", Some(escaped(self.sender()))),
            ("type", self.event_type().map(escaped)),
            ("order key", self.order_key().map(escaped)),
            ("state", Some(self.state().to_string())),
            ("attempts", Some(self.attempts().to_string())),
            ("fencing token", Some(self.fencing_token().to_string())),
            ("received", self.received_at().map(at)),
            ("next attempt in", self.next_attempt_in().map(duration)),
            ("lease left", self.lease_left().map(duration)),
            ("lease owner", self.owner().map(|owner| hex::encode(owner.as_bytes()))),
            ("last error", self.last_error().map(escaped)),
            ("stored bytes", self.stored_bytes().map(|bytes| bytes.to_string())),
            ("next", Some(next(self).to_owned())),
        ];
        story(rows, &style_of(self.state()))
    }
}
