//! The statements of an inbox in MySQL and MariaDB.
//!
//! Keys are bound as bytes. There are no partial indexes: a generated column is NULL for the rows that an index is not
//! about.

use std::sync::{Arc, OnceLock};

use crate::inbox::dialect::Rules;
use crate::inbox::names::Names;
use crate::sql::Many;
use crate::sql::mysql::patient;

/// `due_at` is NULL for a delivery that is not to be looked at.
///
/// `aside_key` is `2` and the order key of a parked delivery, and `3` and the order key of one that waits for another
/// of its key.
pub(super) const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS webhook_inbox_seen (
  event_id      VARBINARY(512) NOT NULL PRIMARY KEY,
  received_at   DATETIME NOT NULL DEFAULT (UTC_TIMESTAMP())
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS webhook_inbox (
  seq           BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sender        VARBINARY(255) NOT NULL,
  event_id      VARBINARY(512) NOT NULL,
  event_type    VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  order_key     VARBINARY(512),
  state         TINYINT NOT NULL DEFAULT 0,
  due_at        DATETIME(6) DEFAULT (UTC_TIMESTAMP(6)),
  attempts      INT NOT NULL DEFAULT 0,
  fencing_token BIGINT NOT NULL DEFAULT 0,
  owner         BINARY(16),
  received_at   DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
  last_error    TEXT CHARACTER SET utf8mb4,
  layout        SMALLINT NOT NULL DEFAULT 1,
  running_key   VARBINARY(512) AS (IF(state = 1, order_key, NULL)) VIRTUAL,
  lane_key      VARBINARY(512) AS (IF(state = 2, NULL, order_key)) VIRTUAL,
  aside_key     VARBINARY(513) AS (IF(state > 1, CONCAT(state, order_key), NULL)) VIRTUAL,
  UNIQUE KEY index_webhook_inbox_running (running_key),
  KEY index_webhook_inbox_due (sender, due_at, seq),
  KEY index_webhook_inbox_lane (lane_key, seq),
  KEY index_webhook_inbox_aside (aside_key, seq)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS webhook_inbox_body (
  seq           BIGINT NOT NULL PRIMARY KEY,
  body          LONGBLOB NOT NULL
) ENGINE=InnoDB;";

/// The database and the name of the table are bound. No database: the connection's own.
pub(super) const LAYOUT: &str = "\
SELECT CAST(column_default AS SIGNED) FROM information_schema.columns
WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND column_name = 'layout'";

/// With a row of no key for the step between the numbers of one insert.
const ARE_SEEN: Many = Many {
    head: "\
SELECT x'', CAST(@@SESSION.auto_increment_increment AS SIGNED)
UNION ALL SELECT event_id, 0 FROM webhook_inbox_seen WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// Plain: one that exists fails the statement, and `INSERT IGNORE` would hide other errors too.
const SEE: Many =
    Many { head: "INSERT INTO webhook_inbox_seen (event_id) VALUES ", row: "(?)", between: ", ", tail: "" };

/// An error, 1690, if the step between the numbers is not the one that was read. Galera sets it to the number of nodes,
/// for each statement, also within a transaction: a node that is lost changes it.
const STORE: Many = Many {
    head: "INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at) VALUES ",
    row: "\
(?, ?, ?, ?, ? + 0 * (~0 + COALESCE(@@SESSION.auto_increment_increment <> ?, 0)), IF(?, NULL, UTC_TIMESTAMP(6)))",
    between: ", ",
    tail: "",
};

/// The rows of one insert have numbers in a row
/// (<https://dev.mysql.com/doc/refman/8.4/en/innodb-auto-increment-handling.html>).
const STORE_BODIES: Many = Many {
    head: "INSERT INTO webhook_inbox_body (seq, body) VALUES ",
    row: "(LAST_INSERT_ID() + ?, ?)",
    between: ", ",
    tail: "",
};

/// The first delivery of each of these keys that is not parked.
const FIRST_OF_KEYS: Many = Many {
    head: "SELECT lane_key, MIN(seq) FROM webhook_inbox WHERE lane_key IN (",
    row: "?",
    between: ", ",
    tail: ") GROUP BY lane_key",
};

/// The first delivery of each of these keys that is parked.
const PARKED_OF_KEYS: Many = Many {
    head: "SELECT SUBSTRING(aside_key, 2), MIN(seq) FROM webhook_inbox WHERE aside_key IN (",
    row: "CONCAT('2', ?)",
    between: ", ",
    tail: ") GROUP BY aside_key",
};

/// A row that has this number of a key's lock, for as long as the transaction is open. No id begins with NUL.
const LOCK_KEY: &str = "\
INSERT INTO webhook_inbox_seen (event_id) VALUES (CONCAT(x'00', CRC32(?) MOD 4096))
ON DUPLICATE KEY UPDATE event_id = event_id";

/// Read without a lock first, so that an idle worker costs one statement.
const IS_DUE: &str = "\
SELECT 1 FROM webhook_inbox FORCE INDEX (index_webhook_inbox_due)
WHERE sender = ? AND due_at <= UTC_TIMESTAMP(6)
LIMIT 1";

/// The index gives the order: otherwise all rows that are due are locked to be sorted, and the next worker gets none.
const DUE: &str = "\
SELECT w.seq, w.event_id, w.event_type, w.order_key, CAST(w.attempts AS SIGNED), w.fencing_token
FROM webhook_inbox w FORCE INDEX (index_webhook_inbox_due)
WHERE w.sender = ? AND w.due_at <= UTC_TIMESTAMP(6) AND w.state < 2
  AND {is head}
ORDER BY w.due_at, w.seq
LIMIT ?
FOR UPDATE SKIP LOCKED";

const IS_HEAD: &str = "\
(w.order_key IS NULL OR w.state = 1 OR (
      NOT EXISTS (SELECT 1 FROM webhook_inbox p WHERE p.lane_key = w.order_key AND p.seq < w.seq)
  AND NOT EXISTS (SELECT 1 FROM webhook_inbox r WHERE r.running_key = w.order_key){parked}))";

const NO_PARKED: &str = "
  AND NOT EXISTS (SELECT 1 FROM webhook_inbox q WHERE q.aside_key = CONCAT('2', w.order_key) AND q.seq < w.seq)";

const HOLD: Many = Many {
    head: "\
UPDATE webhook_inbox
SET state = 1, owner = ?, fencing_token = fencing_token + 1, attempts = attempts + 1,
  due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND
WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const PARK_USED_UP: Many = Many {
    head: "\
UPDATE webhook_inbox
SET state = 2, owner = ?, fencing_token = fencing_token + 1, due_at = NULL, last_error = COALESCE(last_error, ?)
WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const BODIES: Many = Many {
    head: "SELECT seq, body FROM webhook_inbox_body WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// What an earlier attempt of the take got, and how many microseconds its lease has left.
const HELD_BY: &str = "\
SELECT seq, event_id, event_type, order_key, CAST(attempts AS SIGNED), fencing_token,
  TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), due_at)
FROM webhook_inbox
WHERE sender = ? AND state = 1 AND due_at > UTC_TIMESTAMP(6) AND owner = ?";

const HELD: Many = Many {
    head: "\
SELECT seq, fencing_token, owner, CAST(state AS SIGNED), order_key FROM webhook_inbox
WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ") FOR UPDATE",
};

const RENEW: &str =
    "UPDATE webhook_inbox SET due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND WHERE seq = ?";

const BACK_OFF: &str = "\
UPDATE webhook_inbox
SET state = 0, due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, last_error = ?
WHERE seq = ?";

const PARK: &str = "UPDATE webhook_inbox SET state = 2, due_at = NULL, last_error = ? WHERE seq = ?";

const RELEASE: &str = "\
UPDATE webhook_inbox
SET state = 0, due_at = UTC_TIMESTAMP(6), attempts = GREATEST(attempts - 1, 0)
WHERE seq = ?";

/// Those with an order key wait for others, until the first of each key is freed.
const REPLAY: Many = Many {
    head: "\
UPDATE webhook_inbox
SET state = IF(order_key IS NULL, 0, 3), due_at = IF(order_key IS NULL, UTC_TIMESTAMP(6), NULL), attempts = 0
WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const DELETE: Many =
    Many { head: "DELETE FROM webhook_inbox WHERE seq IN (", row: "?", between: ", ", tail: ")" };

const DELETE_BODIES: Many =
    Many { head: "DELETE FROM webhook_inbox_body WHERE seq IN (", row: "?", between: ", ", tail: ")" };

const FREE: Many = Many {
    head: "UPDATE webhook_inbox SET state = 0, due_at = UTC_TIMESTAMP(6) WHERE state = 3 AND seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// The keys after this one that have waiting deliveries.
const BLOCKED_KEYS: &str = "\
SELECT SUBSTRING(aside_key, 2), MIN(seq) FROM webhook_inbox
WHERE aside_key > CONCAT('3', ?) AND aside_key < '4'
GROUP BY aside_key
ORDER BY aside_key
LIMIT ?";

const NEXT_DUE: &str = "\
SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), MIN(due_at)) DIV 1000
FROM webhook_inbox FORCE INDEX (index_webhook_inbox_due)
WHERE sender = ? AND due_at > UTC_TIMESTAMP(6)";

const PAGE_END: &str = "\
SELECT MAX(event_id)
FROM (SELECT event_id FROM webhook_inbox_seen WHERE event_id > ? ORDER BY event_id LIMIT ?) AS page";

const PURGE: &str = "\
DELETE FROM webhook_inbox_seen
WHERE event_id > ? AND event_id <= ? AND received_at < UTC_TIMESTAMP() - INTERVAL ? SECOND";

const IS_KEPT: &str = "
  AND event_id NOT IN (SELECT event_id FROM webhook_inbox)";

const AGE_OF_FIRST: &str = "\
SELECT TIMESTAMPDIFF(SECOND, received_at, UTC_TIMESTAMP(6)) FROM webhook_inbox ORDER BY seq LIMIT 1";

const COUNTS: &str = "\
SELECT CAST(COALESCE(SUM(state IN (0, 3)), 0) AS SIGNED),
  CAST(COALESCE(SUM(state = 1), 0) AS SIGNED),
  CAST(COALESCE(SUM(state = 2), 0) AS SIGNED),
  TIMESTAMPDIFF(MICROSECOND, MIN(IF(state = 2, NULL, received_at)), UTC_TIMESTAMP(6)) DIV 1000
FROM webhook_inbox
WHERE sender = ?";

/// Written out for one inbox.
#[derive(Debug)]
pub struct Statements {
    pub(super) is_strict: bool,
    /// What begins a transaction: set by the first one.
    pub(super) begin: OnceLock<&'static str>,
    pub(super) are_seen: Many<String>,
    pub(super) see: Many<String>,
    pub(super) store: Many<String>,
    pub(super) store_bodies: Many<String>,
    pub(super) first_of_keys: Many<String>,
    pub(super) parked_of_keys: Many<String>,
    pub(super) lock_key: Arc<str>,
    pub(super) is_due: Arc<str>,
    pub(super) due: Arc<str>,
    pub(super) hold: Many<String>,
    pub(super) park_used_up: Many<String>,
    pub(super) bodies: Many<String>,
    pub(super) held_by: Arc<str>,
    pub(super) held: Many<String>,
    pub(super) renew: Arc<str>,
    pub(super) back_off: Arc<str>,
    pub(super) park: Arc<str>,
    pub(super) release: Arc<str>,
    pub(super) replay: Many<String>,
    pub(super) delete: Many<String>,
    pub(super) delete_bodies: Many<String>,
    pub(super) free: Many<String>,
    pub(super) blocked_keys: Arc<str>,
    pub(super) next_due: Arc<str>,
    pub(super) page_end: Arc<str>,
    pub(super) purge: Arc<str>,
    pub(super) purge_processed: Arc<str>,
    pub(super) age_of_first: Arc<str>,
    pub(super) counts: Arc<str>,
}

impl Statements {
    pub(super) fn new(names: &Names, Rules { is_strict, .. }: Rules) -> Self {
        let many = |many: Many| many.written(|statement| names.in_statement(statement));
        // Another transaction can hold these rows: fails fast, so that one event cannot delay the batch.
        let patient_many = |of: Many| {
            let of = many(of);
            Many { head: patient(&of.head, 1), ..of }
        };
        let is_head = IS_HEAD.replace("{parked}", if is_strict { NO_PARKED } else { "" });
        Self {
            is_strict,
            begin: OnceLock::new(),
            are_seen: many(ARE_SEEN),
            see: patient_many(SEE),
            store: many(STORE),
            store_bodies: many(STORE_BODIES),
            first_of_keys: many(FIRST_OF_KEYS),
            parked_of_keys: many(PARKED_OF_KEYS),
            lock_key: names.prepared(LOCK_KEY),
            is_due: names.prepared(IS_DUE),
            due: names.prepared(&DUE.replace("{is head}", &is_head)),
            hold: many(HOLD),
            park_used_up: many(PARK_USED_UP),
            bodies: many(BODIES),
            held_by: names.prepared(HELD_BY),
            held: patient_many(HELD),
            renew: names.prepared(RENEW),
            back_off: names.prepared(BACK_OFF),
            park: names.prepared(PARK),
            release: names.prepared(RELEASE),
            replay: many(REPLAY),
            delete: many(DELETE),
            delete_bodies: many(DELETE_BODIES),
            free: patient_many(FREE),
            blocked_keys: names.prepared(BLOCKED_KEYS),
            next_due: names.prepared(NEXT_DUE),
            page_end: names.prepared(PAGE_END),
            purge: names.prepared(PURGE),
            purge_processed: names.prepared(&format!("{PURGE}{IS_KEPT}")),
            age_of_first: names.prepared(AGE_OF_FIRST),
            counts: names.prepared(COUNTS),
        }
    }
}
