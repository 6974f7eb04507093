//! Where a list of Redis keys goes on.

use std::fmt::Write as _;

use crate::operations::{Cursor, InvalidCursor};

/// Where a scan goes on: its cursor at the server, and keys that it returned and that did not fit into the page.
#[derive(Default)]
pub(super) struct Position {
    pub(super) cursor: u64,
    pub(super) is_begun: bool,
    pub(super) pending: Vec<Vec<u8>>,
}

impl Position {
    pub(super) fn of(after: Option<&Cursor>) -> Result<Self, InvalidCursor> {
        let Some(after) = after else { return Ok(Self::default()) };
        let mut parts = after.as_str().strip_prefix('s').ok_or(InvalidCursor)?.split('.');
        let cursor = parts.next().and_then(|cursor| cursor.parse().ok()).ok_or(InvalidCursor)?;
        let pending = parts.map(hex::decode).collect::<Result<_, _>>().map_err(|_| InvalidCursor)?;
        Ok(Self { cursor, is_begun: true, pending })
    }

    /// `None`: everything was read.
    pub(super) fn next(&self) -> Option<Cursor> {
        if self.is_over() && self.pending.is_empty() {
            return None;
        }
        let mut text = format!("s{}", self.cursor);
        for key in &self.pending {
            // Writing to a string cannot fail.
            let _ = write!(text, ".{}", hex::encode(key));
        }
        Some(Cursor::from_text(text))
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_begun && self.cursor == 0
    }
}
