//! SQLite's statements. Each takes the write lock by itself.
//!
//! Times are `unixepoch('subsec')`, in milliseconds: the store's clock, read when the statement has
//! the lock.

use std::sync::Arc;

use sqlx::Sqlite;

use super::in_flight::InFlight;
use crate::sql::dialect::{Columns, Step};
use crate::sql::table::TableName;

pub(super) const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS stripe_processed_events (
  event_id    TEXT NOT NULL PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  state       INTEGER NOT NULL DEFAULT 1,
  owner       BLOB,
  fence       INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER,
  updated_at  TEXT
) STRICT, WITHOUT ROWID;";

pub(super) const UPGRADE: &str = "\
ALTER TABLE stripe_processed_events ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner BLOB;
ALTER TABLE stripe_processed_events ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until INTEGER;
ALTER TABLE stripe_processed_events ADD COLUMN updated_at TEXT;";

const INSERT: &str = "INSERT INTO stripe_processed_events (event_id, event_type, owner) \
     VALUES (?1, ?2, ?3) ON CONFLICT (event_id) DO NOTHING";

const INSERT_PLAIN: &str = "INSERT INTO stripe_processed_events (event_id, event_type) \
     VALUES (?1, ?2) ON CONFLICT (event_id) DO NOTHING";

const CLAIM: &str = "INSERT INTO stripe_processed_events AS e \
     (event_id, event_type, state, owner, fence, lease_until) \
     VALUES (?1, ?2, 0, ?3, 1, CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4) \
     ON CONFLICT (event_id) DO UPDATE SET state = 0, owner = excluded.owner, \
     fence = e.fence + (e.owner IS NOT excluded.owner), lease_until = excluded.lease_until, \
     updated_at = CURRENT_TIMESTAMP \
     WHERE e.state <> 1 AND (e.owner = excluded.owner OR e.state = 2 \
     OR e.lease_until IS NULL OR e.lease_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
     RETURNING fence";

const LOOK: &str = "SELECT state, lease_until - CAST(unixepoch('subsec') * 1000 AS INTEGER) \
     FROM stripe_processed_events WHERE event_id = ?1";

/// Every row of a plain table is processed.
const LOOK_PLAIN: &str = "SELECT 1, NULL FROM stripe_processed_events WHERE event_id = ?1";

const RENEW: &str = "UPDATE stripe_processed_events \
     SET lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4 \
     WHERE event_id = ?1 AND owner = ?2 AND fence = ?3 AND state = 0";

const COMPLETE: &str = "UPDATE stripe_processed_events \
     SET state = 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP \
     WHERE event_id = ?1 AND owner = ?2 AND fence = ?3 AND state IN (0, 1)";

const RELEASE: &str = "UPDATE stripe_processed_events \
     SET state = 2, lease_until = NULL, updated_at = CURRENT_TIMESTAMP \
     WHERE event_id = ?1 AND owner = ?2 AND fence = ?3 AND state IN (0, 2)";

const TAKE_OVER: &str = "UPDATE stripe_processed_events SET state = 1, owner = ?2, fence = fence + 1, \
     lease_until = NULL, updated_at = CURRENT_TIMESTAMP WHERE event_id = ?1 AND state <> 1 \
     AND (state = 2 OR lease_until IS NULL OR lease_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER))";

const OWN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ?1 AND owner = ?2";

const OWN_PLAIN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ?1";

const PAGE_END: &str = "SELECT max(event_id) FROM (SELECT event_id FROM stripe_processed_events \
     WHERE event_id > ?1 ORDER BY event_id LIMIT ?2)";

const DELETE_PAGE: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > ?1 AND event_id <= ?2 AND unixepoch(received_at) < unixepoch('now') - ?3 \
     AND (state <> 0 OR lease_until <= unixepoch('subsec') * 1000)";

const DELETE_PAGE_PLAIN: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > ?1 AND event_id <= ?2 AND unixepoch(received_at) < unixepoch('now') - ?3";

/// Written out for one table.
#[derive(Debug)]
pub struct Statements {
    pub(super) columns: Columns,
    pub(super) in_flight: InFlight,
    pub(super) insert: Arc<str>,
    pub(super) claim: Arc<str>,
    pub(super) look: Arc<str>,
    renew: Arc<str>,
    complete: Arc<str>,
    release: Arc<str>,
    pub(super) take_over: Arc<str>,
    pub(super) own: Arc<str>,
    pub(super) page_end: Arc<str>,
    pub(super) delete_page: Arc<str>,
}

impl Statements {
    pub(super) fn new(table: &TableName, columns: Columns, in_flight: InFlight) -> Self {
        let written = |statement| table.prepared::<Sqlite>(statement);
        let (insert, look, own, delete_page) = match columns {
            Columns::Full => (INSERT, LOOK, OWN, DELETE_PAGE),
            Columns::Plain => (INSERT_PLAIN, LOOK_PLAIN, OWN_PLAIN, DELETE_PAGE_PLAIN),
        };
        Self {
            columns,
            in_flight,
            insert: written(insert),
            claim: written(CLAIM),
            look: written(look),
            renew: written(RENEW),
            complete: written(COMPLETE),
            release: written(RELEASE),
            take_over: written(TAKE_OVER),
            own: written(own),
            page_end: written(PAGE_END),
            delete_page: written(delete_page),
        }
    }

    pub(super) fn settle(&self, step: Step) -> Arc<str> {
        let statement = match step {
            Step::Renew => &self.renew,
            Step::Complete => &self.complete,
            Step::Release => &self.release,
        };
        Arc::clone(statement)
    }
}
