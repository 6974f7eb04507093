//! A cell of the table, and its way from the measuring process to the table.

use std::time::Duration;

/// A measured cell.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) text: String,
    pub(crate) is_reached: bool,
}

const REACHED: &str = "reached: ";
const MISSED: &str = "missed: ";

impl Figure {
    pub(crate) fn new(is_reached: bool, text: String) -> Self {
        Self { text, is_reached }
    }

    pub(crate) fn missed(text: String) -> Self {
        Self::new(false, text)
    }

    /// As a line for the process that prints the table.
    pub(crate) fn for_parent(&self) -> String {
        format!("{}{}\n", if self.is_reached { REACHED } else { MISSED }, self.text)
    }

    pub(crate) fn from_child(said: &str) -> Option<Self> {
        let line = said.lines().last()?;
        let reached = line.strip_prefix(REACHED).map(|text| Self::new(true, text.to_owned()));
        reached.or_else(|| line.strip_prefix(MISSED).map(|text| Self::missed(text.to_owned())))
    }
}

/// The value that so many in a hundred do not exceed. Zero if there are none.
pub(crate) fn percentile(percent: usize, values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get(last * percent / 100).copied().unwrap_or_default()
}

/// In milliseconds, for people.
pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}
