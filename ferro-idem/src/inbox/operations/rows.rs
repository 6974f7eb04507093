//! Rows and cursors.

use std::time::Duration;

use super::event::{InboxEvent, InboxState};
use crate::inbox::delivery::without_sender;
use crate::operations::{Cursor, InvalidCursor};
use crate::sql::{Cells, time_of};

/// The columns of an event that are bytes.
pub(super) const BYTES: usize = 6;

pub(super) fn event_of(mut row: Cells) -> InboxEvent {
    let (stored, due_in) = (row.number(1).unwrap_or(0), row.number(4));
    let state = InboxState::of(stored, due_in);
    let sender = row.take_text(1).unwrap_or_default();
    let key = row.take_text(0).unwrap_or_default();
    let due_in = Duration::from_millis(due_in.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0));
    InboxEvent::of_row(row.number(0).unwrap_or(0), key, &sender, state)
        .with_type(row.take_text(2))
        .with_order_key(row.take_text(3).map(|key| without_sender(&key, &sender)))
        .with_last_error(row.take_text(4))
        .with_owner(row.owner(5))
        .with_wait_for_another(stored == 3)
        .with_attempts(u32::try_from(row.count(2)).unwrap_or(u32::MAX))
        .with_fencing_token(row.count(3))
        .with_due_in(due_in)
        .with_received_at(row.number(5).and_then(time_of))
}

pub(super) fn processed_of(mut row: Cells) -> InboxEvent {
    let key = row.take_text(0).unwrap_or_default();
    InboxEvent::new(key, InboxState::Processed).with_received_at(row.number(0).and_then(time_of))
}

/// A cursor of these row numbers.
pub(super) fn cursor(numbers: &[i64]) -> Cursor {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Cursor::from_text(format!("r{}", numbers.join(".")))
}

/// So many row numbers of a cursor.
pub(super) fn numbers<const N: usize>(cursor: &Cursor) -> Result<[i64; N], InvalidCursor> {
    let numbers = cursor.as_str().strip_prefix('r').ok_or(InvalidCursor)?;
    let numbers: Result<Vec<i64>, _> = numbers.split('.').map(str::parse).collect();
    numbers.map_err(|_| InvalidCursor)?.try_into().map_err(|_| InvalidCursor)
}
