//! SQLite, whatever the driver.

pub(crate) mod columns;
pub(crate) mod fault;
pub(crate) mod in_flight;
mod in_transaction;
pub(crate) mod replies;
pub(crate) mod statements;

use super::check::TableText;

pub(crate) const TEXT: TableText = TableText {
    schema: statements::SCHEMA,
    upgrade: statements::UPGRADE,
    add_event_type: "ALTER TABLE stripe_processed_events ADD COLUMN event_type TEXT NOT NULL DEFAULT '';",
    compare_bytes: |found| columns::moved_to_schema(found).into(),
};

pub(crate) const QUOTE: char = '"';
