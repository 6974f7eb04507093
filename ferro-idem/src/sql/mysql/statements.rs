//! The statements of MySQL and MariaDB, for one event or many.
//!
//! Ids are bound as bytes. Times are `UTC_TIMESTAMP(6)`: the start of the statement, so a lease that had to
//! wait for a lock is never longer than its owner believes.

use std::sync::Arc;

use crate::sql::columns::SchemaLevel;
use crate::sql::event_state::ClaimStep;
use crate::sql::many::Many;
use crate::sql::table::TableName;

pub(super) const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS stripe_processed_events (
  event_id    VARBINARY(255) NOT NULL PRIMARY KEY,
  event_type  VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  received_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  state       TINYINT NOT NULL DEFAULT 1,
  owner       BINARY(16),
  fencing_token       BIGINT NOT NULL DEFAULT 0,
  lease_until DATETIME(6),
  updated_at  DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB;";

pub(super) const UPGRADE: &str = "\
ALTER TABLE stripe_processed_events ADD COLUMN state TINYINT NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner BINARY(16);
ALTER TABLE stripe_processed_events ADD COLUMN fencing_token BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until DATETIME(6);
ALTER TABLE stripe_processed_events ADD COLUMN updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP;";

/// A plain insert: `INSERT IGNORE` would cut ids off and swallow other errors too.
const INSERT: &str = "INSERT INTO stripe_processed_events (event_id, event_type, owner) VALUES (?, ?, ?)";

const INSERT_PLAIN: &str = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?, ?)";

/// Leaves a row that is there as it is. How many rows were inserted is not told apart from how many were
/// there, so [`OWNERS`] says whose they are.
const MARK: Many = Many {
    head: "INSERT INTO stripe_processed_events (event_id, event_type, owner) VALUES ",
    row: "(?, ?, ?)",
    between: ", ",
    tail: " ON DUPLICATE KEY UPDATE event_id = event_id",
};

/// Who has the rows, and how.
const OWNERS: Many = Many {
    head: "SELECT event_id, owner, fencing_token, CAST(state AS SIGNED) FROM stripe_processed_events \
         WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// Each assignment reads only what is assigned behind it, or asks whether the row is the claim's already:
/// so it does not matter whether the server assigns one by one (the default) or all at once
/// (`SIMULTANEOUS_ASSIGNMENT`).
const CLAIM: Many = Many {
    head: "INSERT INTO stripe_processed_events (event_id, event_type, state, owner, fencing_token, lease_until) VALUES ",
    row: "(?, ?, 0, ?, 1, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)))",
    between: ", ",
    tail: " ON DUPLICATE KEY UPDATE \
         fencing_token = fencing_token + IF(state <> 1 AND NOT owner <=> VALUES(owner) \
         AND (state = 2 OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)), 1, 0), \
         owner = IF(state <> 1 AND (state = 2 OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)), VALUES(owner), owner), \
         updated_at = IF(state <> 1 AND (owner <=> VALUES(owner) OR state = 2 \
         OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)), CURRENT_TIMESTAMP, updated_at), \
         lease_until = IF(state <> 1 AND (owner <=> VALUES(owner) OR state = 2 \
         OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)), VALUES(lease_until), lease_until), \
         state = IF(state <> 1 AND (owner <=> VALUES(owner) OR state = 2 \
         OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)), 0, state)",
};

const LOOK: Many = Many {
    head: "SELECT event_id, CAST(state AS SIGNED), \
         TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), lease_until) DIV 1000 \
         FROM stripe_processed_events WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// Every row of a plain table is processed.
const LOOK_PLAIN: Many = Many {
    head: "SELECT event_id, 1, NULL FROM stripe_processed_events WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const RENEW: Many = Many {
    tail: ") AS b ON e.event_id = b.id \
         SET e.lease_until = TIMESTAMPADD(MICROSECOND, b.lease, UTC_TIMESTAMP(6)) \
         WHERE e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0",
    ..SETTLE
};

const COMPLETE: Many = Many {
    tail: ") AS b ON e.event_id = b.id \
         SET e.state = 1, e.lease_until = NULL, e.updated_at = CURRENT_TIMESTAMP \
         WHERE e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1)",
    ..SETTLE
};

const RELEASE: Many = Many {
    tail: ") AS b ON e.event_id = b.id \
         SET e.state = 2, e.lease_until = NULL, e.updated_at = CURRENT_TIMESTAMP \
         WHERE e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 2)",
    ..SETTLE
};

const WITHDRAW: Many = Many {
    tail: ") AS b ON e.event_id = b.id \
         SET e.state = 2, e.owner = NULL, e.fencing_token = e.fencing_token - 1, e.lease_until = NULL, e.updated_at = CURRENT_TIMESTAMP \
         WHERE e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0",
    ..SETTLE
};

const SETTLE: Many = Many {
    head: "UPDATE stripe_processed_events AS e JOIN (",
    row: "SELECT ? AS id, ? AS owner, ? AS fencing_token, ? AS lease",
    between: " UNION ALL ",
    tail: "",
};

const TAKE_OVER: &str = "UPDATE stripe_processed_events \
     SET state = 1, owner = ?, fencing_token = fencing_token + 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP \
     WHERE event_id = ? AND state <> 1 \
     AND (state = 2 OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6))";

/// Only rows that a mark made. Claims and transactions have another state or token.
const UNMARK: Many = Many {
    head: "DELETE e FROM stripe_processed_events AS e JOIN (",
    row: "SELECT ? AS id, ? AS owner",
    between: " UNION ALL ",
    tail: ") AS b ON e.event_id = b.id \
         WHERE e.owner = b.owner AND e.state = 1 AND e.fencing_token = 0",
};

const OWN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ? AND owner = ?";

const OWN_PLAIN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ? AND ? IS NOT NULL";

const PAGE_END: &str = "SELECT MAX(event_id) FROM (SELECT event_id FROM stripe_processed_events \
     WHERE event_id > ? ORDER BY event_id LIMIT ?) AS page";

const DELETE_PAGE: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > ? AND event_id <= ? AND received_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND \
     AND (state <> 0 OR lease_until <= UTC_TIMESTAMP(6))";

const DELETE_PAGE_PLAIN: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > ? AND event_id <= ? AND received_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND";

/// Written out for one table.
#[derive(Debug)]
pub struct Statements {
    pub(super) level: SchemaLevel,
    pub(super) insert: Arc<str>,
    pub(super) insert_without_waiting: Arc<str>,
    pub(super) mark: Many<String>,
    pub(super) owners: Many<String>,
    pub(super) claim: Many<String>,
    pub(super) look: Many<String>,
    renew: Many<String>,
    complete: Many<String>,
    release: Many<String>,
    withdraw: Many<String>,
    pub(super) unmark: Many<String>,
    pub(super) take_over: Arc<str>,
    pub(super) own: Arc<str>,
    pub(super) page_end: Arc<str>,
    pub(super) delete_page: Arc<str>,
}

/// The same statement, waiting no longer than so many seconds for the row of one event: in MariaDB's
/// words, and in those of Percona Server, whose shortest wait is a second
/// (<https://docs.percona.com/percona-server/8.4/extended-set-var.html>). Each takes the other's for a comment;
/// MySQL has none for it, and takes both for one.
fn patient(statement: &str, seconds: u8) -> String {
    let (verb, rest) = statement.split_once(' ').unwrap_or((statement, ""));
    format!(
        "/*M!100100 SET STATEMENT innodb_lock_wait_timeout={seconds} FOR */ \
         {verb} /*+ SET_VAR(innodb_lock_wait_timeout=1) */ {rest}"
    )
}

impl Statements {
    pub(super) fn new(table: &TableName, level: SchemaLevel) -> Self {
        let written = |statement: &str| table.prepared(statement);
        let shared = |many: Many| {
            let many = many.of(table);
            Many { head: patient(&many.head, 1), ..many }
        };
        let (insert, look, own, delete_page) = match level {
            SchemaLevel::Full => (INSERT, LOOK, OWN, DELETE_PAGE),
            SchemaLevel::Plain => (INSERT_PLAIN, LOOK_PLAIN, OWN_PLAIN, DELETE_PAGE_PLAIN),
        };
        Self {
            level,
            insert: written(&patient(insert, 1)),
            insert_without_waiting: written(&patient(insert, 0)),
            mark: shared(MARK),
            owners: OWNERS.of(table),
            claim: shared(CLAIM),
            look: look.of(table),
            renew: shared(RENEW),
            complete: shared(COMPLETE),
            release: shared(RELEASE),
            withdraw: shared(WITHDRAW),
            unmark: shared(UNMARK),
            take_over: written(TAKE_OVER),
            own: written(own),
            page_end: written(PAGE_END),
            delete_page: written(delete_page),
        }
    }

    pub(super) fn update_claims(&self, step: ClaimStep) -> &Many<String> {
        match step {
            ClaimStep::Renew => &self.renew,
            ClaimStep::Complete => &self.complete,
            ClaimStep::Release => &self.release,
            ClaimStep::Withdraw => &self.withdraw,
        }
    }
}
