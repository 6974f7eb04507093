//! SQLite's statements. Each takes the write lock by itself.
//!
//! Times are `unixepoch('subsec')`, in milliseconds: the store's clock, read when the statement has
//! the lock.
//!
//! `OR ABORT` overrides what the table's constraints say, such as `UNIQUE ON CONFLICT REPLACE`, by which a new event
//! would delete the mark of another one.

use std::sync::Arc;

use super::in_flight::InFlight;
use super::replies::ReplyStatements;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::ClaimStep;
use crate::event_table::many::Many;
use crate::event_table::name::TableName;

pub(crate) const SCHEMA: &str = include_str!("../../sql/sqlite/schema.sql").trim_ascii_end();

pub(crate) const UPGRADE: &str = include_str!("../../sql/sqlite/upgrade.sql").trim_ascii_end();

const MARK: Many = Many {
    head: "INSERT OR ABORT INTO stripe_processed_events AS e (event_id, event_type, owner) VALUES ",
    row: "(?, ?, ?)",
    between: ", ",
    tail: " ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
};

/// A row that an earlier attempt made, by its owner, is returned as well.
const MARK_AGAIN: Many = Many {
    tail: "
ON CONFLICT (event_id) DO UPDATE SET owner = e.owner WHERE e.owner = excluded.owner
RETURNING event_id",
    ..MARK
};

const MARK_PLAIN: Many = Many {
    head: "INSERT OR ABORT INTO stripe_processed_events (event_id, event_type) VALUES ",
    row: "(?, ?)",
    ..MARK
};

const CLAIM: Many = Many {
    head: "\
INSERT OR ABORT INTO stripe_processed_events AS e
(event_id, event_type, state, owner, fencing_token, lease_until) VALUES ",
    row: "(?, ?, 0, ?, 1, CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?)",
    between: ", ",
    tail: "
ON CONFLICT (event_id) DO UPDATE SET state = 0, owner = excluded.owner,
fencing_token = e.fencing_token + (e.owner IS NOT excluded.owner), lease_until = excluded.lease_until,
updated_at = CURRENT_TIMESTAMP
WHERE e.state <> 1 AND (e.owner = excluded.owner OR e.state = 2
OR e.lease_until IS NULL OR e.lease_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER))
RETURNING event_id, fencing_token",
};

const LOOK: Many = Many {
    head: "\
SELECT event_id, state, lease_until - CAST(unixepoch('subsec') * 1000 AS INTEGER)
FROM stripe_processed_events WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// Every row of a plain table is processed.
const LOOK_PLAIN: Many =
    Many { head: "SELECT event_id, 1, NULL FROM stripe_processed_events WHERE event_id IN (", ..LOOK };

const SETTLE: Many = Many {
    head: "WITH b (id, owner, fencing_token, lease) AS (VALUES ",
    row: "(?, ?, ?, ?)",
    between: ", ",
    tail: "",
};

const RENEW: Many = Many {
    tail: "\
) UPDATE OR ABORT stripe_processed_events AS e
SET lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + b.lease FROM b
WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0
RETURNING event_id",
    ..SETTLE
};

const COMPLETE: Many = Many {
    tail: "\
) UPDATE OR ABORT stripe_processed_events AS e
SET state = 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP FROM b
WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1)
RETURNING event_id",
    ..SETTLE
};

const RELEASE: Many = Many {
    tail: "\
) UPDATE OR ABORT stripe_processed_events AS e
SET state = 2, lease_until = NULL, updated_at = CURRENT_TIMESTAMP FROM b
WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 2)
RETURNING event_id",
    ..SETTLE
};

const WITHDRAW: Many = Many {
    tail: "\
) UPDATE OR ABORT stripe_processed_events AS e
SET state = 2, owner = NULL, fencing_token = e.fencing_token - 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP FROM b
WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0
RETURNING event_id",
    ..SETTLE
};

const TAKE_OVER: &str = "\
UPDATE OR ABORT stripe_processed_events SET state = 1, owner = ?2, fencing_token = fencing_token + 1,
lease_until = NULL, updated_at = CURRENT_TIMESTAMP WHERE event_id = ?1 AND state <> 1
AND (state = 2 OR lease_until IS NULL OR lease_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER))";

/// Only rows that a mark made. Claims and transactions have another state or token.
const UNMARK: Many = Many {
    head: "WITH b (id, owner) AS (VALUES ",
    row: "(?, ?)",
    between: ", ",
    tail: "\
) DELETE FROM stripe_processed_events
WHERE (event_id, owner) IN (SELECT id, owner FROM b) AND state = 1 AND fencing_token = 0",
};

/// The state of a claim's row, if the claim still has it.
const HELD: &str =
    "SELECT state FROM stripe_processed_events WHERE event_id = ?1 AND owner = ?2 AND fencing_token = ?3";

/// No row if the event has none.
const IS_OWN: &str = "SELECT owner IS ?2 FROM stripe_processed_events WHERE event_id = ?1";

const IS_OWN_PLAIN: &str = "SELECT ?2 IS NULL FROM stripe_processed_events WHERE event_id = ?1";

const OWN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ?1 AND owner = ?2";

const OWN_PLAIN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ?1";

const GIVE_BACK: &str = "\
UPDATE OR ABORT stripe_processed_events SET state = 2, updated_at = CURRENT_TIMESTAMP
WHERE event_id = ?1 AND owner = ?2 AND state = 1";

const PAGE_END: &str = "\
SELECT max(event_id) FROM (SELECT event_id FROM stripe_processed_events
WHERE event_id > ?1 ORDER BY event_id LIMIT ?2)";

/// When the event was received, in seconds since 1970, however the application's own table keeps it: text, or a
/// number of seconds, milliseconds, microseconds or nanoseconds, or a Julian day (they are told apart by their size,
/// until the year 5138). NULL, so that the row stays, for everything else.
pub(crate) const RECEIVED: &str = "\
CASE
  WHEN typeof(received_at) = 'text' AND received_at GLOB '*[^0-9.]*' THEN unixepoch(received_at)
  WHEN typeof(received_at) = 'blob' OR CAST(received_at AS REAL) <= 0 THEN NULL
  WHEN CAST(received_at AS REAL) < 1e7 THEN (CAST(received_at AS REAL) - 2440587.5) * 86400
  WHEN CAST(received_at AS REAL) < 1e11 THEN CAST(received_at AS REAL)
  WHEN CAST(received_at AS REAL) < 1e14 THEN CAST(received_at AS REAL) / 1e3
  WHEN CAST(received_at AS REAL) < 1e17 THEN CAST(received_at AS REAL) / 1e6
  ELSE CAST(received_at AS REAL) / 1e9
END";

const DELETE_PAGE: &str = "\
DELETE FROM stripe_processed_events
WHERE event_id > ?1 AND event_id <= ?2 AND {received} < unixepoch('now') - ?3
AND (state <> 0 OR lease_until <= unixepoch('subsec') * 1000)";

const DELETE_PAGE_PLAIN: &str = "\
DELETE FROM stripe_processed_events
WHERE event_id > ?1 AND event_id <= ?2 AND {received} < unixepoch('now') - ?3";

/// Written out for one table.
#[derive(Debug)]
pub struct Statements {
    pub(crate) level: SchemaLevel,
    pub(crate) in_flight: InFlight,
    /// See [`Traps`](crate::sql::columns::Traps).
    pub(crate) verifies: bool,
    pub(crate) is_own: Arc<str>,
    pub(crate) replies: ReplyStatements,
    pub(crate) held: Arc<str>,
    pub(crate) mark: Many<String>,
    pub(crate) mark_again: Many<String>,
    pub(crate) claim: Many<String>,
    pub(crate) look: Many<String>,
    renew: Many<String>,
    complete: Many<String>,
    release: Many<String>,
    withdraw: Many<String>,
    pub(crate) unmark: Many<String>,
    pub(crate) take_over: Arc<str>,
    pub(crate) own: Arc<str>,
    pub(crate) give_back: Arc<str>,
    pub(crate) page_end: Arc<str>,
    pub(crate) delete_page: Arc<str>,
}

impl Statements {
    pub(crate) fn new(table: &TableName, level: SchemaLevel, in_flight: InFlight, verifies: bool) -> Self {
        let written = |statement: &str| table.prepared(statement);
        let (mark, look, own, delete_page) = match level {
            SchemaLevel::Full => (MARK, LOOK, OWN, DELETE_PAGE),
            SchemaLevel::Plain => (MARK_PLAIN, LOOK_PLAIN, OWN_PLAIN, DELETE_PAGE_PLAIN),
        };
        Self {
            level,
            in_flight,
            verifies,
            is_own: written(match level {
                SchemaLevel::Full => IS_OWN,
                SchemaLevel::Plain => IS_OWN_PLAIN,
            }),
            replies: ReplyStatements::new(table),
            held: written(HELD),
            mark: mark.of(table),
            mark_again: MARK_AGAIN.of(table),
            claim: CLAIM.of(table),
            look: look.of(table),
            renew: RENEW.of(table),
            complete: COMPLETE.of(table),
            release: RELEASE.of(table),
            withdraw: WITHDRAW.of(table),
            unmark: UNMARK.of(table),
            take_over: written(TAKE_OVER),
            own: written(own),
            give_back: written(GIVE_BACK),
            page_end: written(PAGE_END),
            delete_page: written(&delete_page.replace("{received}", RECEIVED)),
        }
    }

    pub(crate) fn update_claims(&self, step: ClaimStep) -> &Many<String> {
        match step {
            ClaimStep::Renew => &self.renew,
            ClaimStep::Complete => &self.complete,
            ClaimStep::CompleteWithReply => &self.replies.complete,
            ClaimStep::Release => &self.release,
            ClaimStep::Withdraw => &self.withdraw,
        }
    }
}
