//! Events as tables and JSON show them.

use std::time::{Duration, SystemTime};

use console::Style;
use serde_json::{Value, json};

use super::table::Table;
use crate::operations::text::{ago, duration, escaped, next_delivery, time};
use crate::operations::{EventState, LoggedEvent};

/// What a table and a line of JSON show of an event.
pub(super) trait Shown {
    const HEADER: &'static [&'static str];

    /// The name of the key in JSON.
    const KEY_NAME: &'static str;

    fn key(&self) -> &str;

    fn fencing_token(&self) -> u64;

    /// The cells under [`HEADER`](Self::HEADER).
    fn row(&self) -> Vec<(String, Style)>;

    fn json(&self) -> Value;

    /// Everything that is known, each with its name.
    fn story(&self) -> Vec<(&'static str, String, Style)>;

    fn print(&self) -> std::io::Result<()> {
        let mut table = Table::new(&["EVENT", &escaped(self.key())]);
        for (name, value, style) in self.story() {
            table.row(vec![(name.to_owned(), Style::new()), (value, style)]);
        }
        table.print(&console::Term::stdout())
    }
}

pub(super) fn plain(text: impl Into<String>) -> (String, Style) {
    (text.into(), Style::new())
}

/// A time, and how long ago it was.
pub(super) fn at(at: SystemTime) -> String {
    format!("{} ({} ago)", time(at), ago(at))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn style_of(state: EventState) -> Style {
    match state {
        EventState::Claimed => Style::new().cyan(),
        EventState::LeaseEnded => Style::new().red(),
        EventState::Released => Style::new().yellow(),
        EventState::Processed => Style::new().green(),
    }
}

impl Shown for LoggedEvent {
    const HEADER: &'static [&'static str] = &["ID", "TYPE", "STATE", "TOKEN", "AGE", "LEASE LEFT"];
    const KEY_NAME: &'static str = "id";

    fn key(&self) -> &str {
        self.id()
    }

    fn fencing_token(&self) -> u64 {
        LoggedEvent::fencing_token(self)
    }

    fn row(&self) -> Vec<(String, Style)> {
        vec![
            plain(escaped(self.id())),
            plain(self.event_type().map(escaped).unwrap_or_default()),
            (self.state().to_string(), style_of(self.state())),
            plain(self.fencing_token().to_string()),
            plain(self.received_at().or(self.updated_at()).map(ago).unwrap_or_default()),
            plain(self.lease_left().map(duration).unwrap_or_default()),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id(),
            "type": self.event_type(),
            "state": self.state().as_str(),
            "fencing_token": self.fencing_token(),
            "received_at": self.received_at().map(time),
            "updated_at": self.updated_at().map(time),
            "lease_left_ms": self.lease_left().map(millis),
            "reply_until": self.reply_until().map(time),
            "version": self.version(),
        })
    }

    fn story(&self) -> Vec<(&'static str, String, Style)> {
        let rows = [
            ("type", self.event_type().map(escaped)),
            ("state", Some(self.state().to_string())),
            ("fencing token", Some(self.fencing_token().to_string())),
            ("received", self.received_at().map(at)),
            ("last change", self.updated_at().map(at)),
            ("lease left", self.lease_left().map(duration)),
            ("reply kept until", self.reply_until().map(time)),
            ("next delivery", Some(next_delivery(self.state()).to_owned())),
        ];
        story(rows, &style_of(self.state()))
    }
}

/// Those that are known. The state has this style.
pub(super) fn story<const N: usize>(
    rows: [(&'static str, Option<String>); N],
    of_state: &Style,
) -> Vec<(&'static str, String, Style)> {
    let row = |(name, value): (&'static str, Option<String>)| {
        let style = if name == "state" { of_state.clone() } else { Style::new() };
        Some((name, value?, style))
    };
    rows.into_iter().filter_map(row).collect()
}
