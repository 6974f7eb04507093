//! PostgreSQL, whatever the driver.

pub(crate) mod bounds;
pub(crate) mod columns;
pub(crate) mod fault;
mod in_transaction;
pub(crate) mod replies;
pub(crate) mod statements;

use super::check::TableText;

pub(crate) const TEXT: TableText = TableText {
    schema: statements::SCHEMA,
    upgrade: statements::UPGRADE,
    add_event_type: "ALTER TABLE stripe_processed_events ADD COLUMN event_type TEXT NOT NULL DEFAULT '';",
    compare_bytes: |_| columns::COMPARE_BYTES.into(),
};

pub(crate) const QUOTE: char = '"';

/// The key of the lock that keeps other transactions away from an event.
pub(crate) fn lock_key(event_id: &str) -> String {
    format!("ferro-idem:{event_id}")
}
