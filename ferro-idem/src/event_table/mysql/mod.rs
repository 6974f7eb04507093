//! MySQL and MariaDB, whatever the driver.

pub(crate) mod bounds;
pub(crate) mod claim_updates;
pub(crate) mod columns;
pub(crate) mod fault;
mod in_transaction;
pub(crate) mod replies;
pub(crate) mod statements;

use super::check::TableText;

pub(crate) const TEXT: TableText = TableText {
    schema: statements::SCHEMA,
    upgrade: statements::UPGRADE,
    add_event_type: "ALTER TABLE stripe_processed_events ADD COLUMN event_type VARCHAR(255) NOT NULL DEFAULT '';",
    compare_bytes: |_| columns::COMPARE_BYTES.into(),
};

pub(crate) const QUOTE: char = '`';

/// Begins a transaction. The savepoint ends with it.
pub(crate) const BEGIN: &str = "START TRANSACTION; SAVEPOINT ferro_idem";

/// The second half of [`BEGIN`], for a driver that begins by itself.
pub(crate) const SAVEPOINT: &str = "SAVEPOINT ferro_idem";
