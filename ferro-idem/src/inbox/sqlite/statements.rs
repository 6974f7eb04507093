//! SQLite's statements of an inbox. Times are milliseconds since 1970, by the store's clock.

use std::sync::Arc;

use crate::inbox::dialect::Rules;
use crate::inbox::names::Names;
use crate::inbox::step::Step;
use crate::sql::Many;

/// `AUTOINCREMENT`: the number of a deleted row is not given to another one, so that a proof of having held it fits
/// nothing.
pub(super) const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS webhook_inbox_seen (
  event_id      TEXT NOT NULL PRIMARY KEY,
  received_at   INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhook_inbox (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  sender        TEXT NOT NULL,
  event_id      TEXT NOT NULL,
  event_type    TEXT NOT NULL,
  order_key     TEXT,
  state         INTEGER NOT NULL DEFAULT 0,
  due_at        INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
  attempts      INTEGER NOT NULL DEFAULT 0,
  fencing_token INTEGER NOT NULL DEFAULT 0,
  owner         BLOB,
  received_at   INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
  last_error    TEXT,
  layout        INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS webhook_inbox_body (
  seq           INTEGER PRIMARY KEY,
  body          BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_due ON webhook_inbox (sender, due_at, seq) WHERE state < 2;
CREATE UNIQUE INDEX IF NOT EXISTS index_webhook_inbox_running ON webhook_inbox (order_key)
WHERE state = 1 AND order_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_lane ON webhook_inbox (order_key, seq)
WHERE state <> 2 AND order_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_blocked ON webhook_inbox (order_key, seq) WHERE state = 3;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_parked ON webhook_inbox (order_key, seq) WHERE state = 2;";

const SEE: Many = Many {
    head: "INSERT INTO webhook_inbox_seen (event_id) VALUES ",
    row: "(?)",
    between: ", ",
    tail: " ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
};

/// `repeats`: one of the same key comes before it in the statement. Repeated rows are those that fill the statement up.
const STORE: Many = Many {
    head: "WITH b (n, sender, event_id, event_type, order_key, repeats) AS (VALUES ",
    row: "(?, ?, ?, ?, ?, ?)",
    between: ", ",
    tail: ")
INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state)
SELECT i.sender, i.event_id, i.event_type, i.order_key, CASE WHEN i.repeats OR {follows} THEN 3 ELSE 0 END
FROM (SELECT DISTINCT * FROM b) AS i
WHERE true
ORDER BY i.n
RETURNING event_id, seq",
};

/// Whether one of the same key is there already.
const FOLLOWS: &str = "EXISTS (
    SELECT 1 FROM webhook_inbox p
    WHERE p.order_key = i.order_key AND p.state <> 2 AND p.order_key IS NOT NULL)";

const FOLLOWS_PARKED: &str = " OR EXISTS (
    SELECT 1 FROM webhook_inbox q WHERE q.order_key = i.order_key AND q.state = 2)";

const STORE_BODIES: Many = Many {
    head: "INSERT INTO webhook_inbox_body (seq, body) VALUES ",
    row: "(?, ?)",
    between: ", ",
    tail: " ON CONFLICT (seq) DO NOTHING",
};

/// Read first: an update takes the write lock even if it changes no row.
const IS_DUE: &str = "\
SELECT 1 FROM webhook_inbox
WHERE sender = ?1 AND state < 2 AND due_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER) LIMIT 1";

/// ?1 owner, ?2 lease, ?3 most attempts, ?4 limit, ?5 what is said about one that is used up, ?6 sender.
const TAKE: &str = "\
UPDATE webhook_inbox
SET state = CASE WHEN attempts >= ?3 THEN 2 ELSE 1 END,
  owner = ?1,
  fencing_token = fencing_token + 1,
  attempts = attempts + (attempts < ?3),
  due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + CASE WHEN attempts >= ?3 THEN 0 ELSE ?2 END,
  last_error = CASE WHEN attempts >= ?3 THEN COALESCE(last_error, ?5) ELSE last_error END
WHERE seq IN (
  SELECT w.seq FROM webhook_inbox w
  WHERE w.sender = ?6 AND w.state < 2 AND w.due_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
    AND {is head}
  ORDER BY w.due_at, w.seq
  LIMIT ?4)
RETURNING seq, event_id, event_type, order_key, attempts, fencing_token, state";

const BODIES: Many = Many {
    head: "SELECT seq, body FROM webhook_inbox_body WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const STEP: Many = Many {
    head: "WITH b (seq, fencing_token, owner, millis, error) AS (VALUES ",
    row: "(?, ?, ?, ?, ?)",
    between: ", ",
    tail: "",
};

const RENEW: Many = Many {
    tail: ")
UPDATE webhook_inbox AS w
SET due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + b.millis
FROM b
WHERE w.seq = b.seq AND w.fencing_token = b.fencing_token AND w.owner = b.owner AND w.state = 1
RETURNING seq, order_key",
    ..STEP
};

const COMPLETE: Many = Many {
    tail: ")
DELETE FROM webhook_inbox
WHERE seq IN (
  SELECT w.seq FROM b CROSS JOIN webhook_inbox w ON w.seq = b.seq
  WHERE w.fencing_token = b.fencing_token AND w.owner = b.owner AND w.state = 1)
RETURNING seq, order_key",
    ..STEP
};

const BACK_OFF: Many = Many {
    tail: ")
UPDATE webhook_inbox AS w
SET state = 0, due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + b.millis, last_error = b.error
FROM b
WHERE w.seq = b.seq AND w.fencing_token = b.fencing_token AND w.owner = b.owner AND w.state = 1
RETURNING seq, order_key",
    ..STEP
};

const PARK: Many = Many {
    tail: ")
UPDATE webhook_inbox AS w
SET state = 2, due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), last_error = b.error
FROM b
WHERE w.seq = b.seq AND w.fencing_token = b.fencing_token AND w.owner = b.owner AND w.state = 1
RETURNING seq, order_key",
    ..STEP
};

const RELEASE: Many = Many {
    tail: ")
UPDATE webhook_inbox AS w
SET state = 0, due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), attempts = max(w.attempts - 1, 0)
FROM b
WHERE w.seq = b.seq AND w.fencing_token = b.fencing_token AND w.owner = b.owner AND w.state = 1
RETURNING seq, order_key",
    ..STEP
};

/// One that was parked by hand has no owner. Those with an order key wait for others, until the first of each key is
/// freed.
const REPLAY: Many = Many {
    tail: ")
UPDATE webhook_inbox AS w
SET state = CASE WHEN w.order_key IS NULL THEN 0 ELSE 3 END,
  due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
  attempts = 0
FROM b
WHERE w.seq = b.seq AND w.fencing_token = b.fencing_token AND COALESCE(w.owner, zeroblob(16)) = b.owner
  AND w.state = 2
RETURNING seq, order_key",
    ..STEP
};

const DISCARD: Many = Many {
    tail: ")
DELETE FROM webhook_inbox
WHERE seq IN (
  SELECT w.seq FROM b CROSS JOIN webhook_inbox w ON w.seq = b.seq
  WHERE w.fencing_token = b.fencing_token AND COALESCE(w.owner, zeroblob(16)) = b.owner AND w.state = 2)
RETURNING seq, order_key",
    ..STEP
};

/// The rows of these deliveries, to find out what an earlier attempt of the same step has changed.
const FOUND: Many = Many {
    head: "SELECT seq, fencing_token, owner, state FROM webhook_inbox WHERE seq IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const DELETE_BODIES: Many =
    Many { head: "DELETE FROM webhook_inbox_body WHERE seq IN (", row: "?", between: ", ", tail: ")" };

/// The first of each of these keys.
const FREE: Many = Many {
    head: "WITH k (order_key) AS (VALUES ",
    row: "(?)",
    between: ", ",
    tail: ")
UPDATE webhook_inbox
SET state = 0, due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE state = 3 AND seq IN (
  SELECT (
    SELECT n.seq FROM webhook_inbox n
    WHERE n.order_key = k.order_key AND n.state <> 2 AND n.order_key IS NOT NULL
    ORDER BY n.seq
    LIMIT 1)
  FROM k)",
};

/// The keys after ?1 that have waiting deliveries, and whether the first of the key is one of them.
const HEADS: &str = "\
WITH RECURSIVE k (order_key, n) AS (
  SELECT (SELECT min(order_key) FROM webhook_inbox WHERE state = 3 AND order_key > ?1), 1
  UNION ALL
  SELECT (SELECT min(order_key) FROM webhook_inbox WHERE state = 3 AND order_key > k.order_key), n + 1
  FROM k
  WHERE k.order_key IS NOT NULL AND n < ?2
)
SELECT k.order_key, (
  SELECT w.state = 3 AND {is head} FROM webhook_inbox w
  WHERE w.order_key = k.order_key AND w.state <> 2 AND w.order_key IS NOT NULL
  ORDER BY w.seq
  LIMIT 1)
FROM k
WHERE k.order_key IS NOT NULL";

const NEXT_DUE: &str = "\
SELECT min(due_at) - CAST(unixepoch('subsec') * 1000 AS INTEGER)
FROM webhook_inbox
WHERE sender = ?1 AND state < 2 AND due_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)";

const PAGE_END: &str = "\
SELECT max(event_id)
FROM (SELECT event_id FROM webhook_inbox_seen WHERE event_id > ?1 ORDER BY event_id LIMIT ?2)";

const PURGE: &str = "\
DELETE FROM webhook_inbox_seen
WHERE event_id > ?1 AND event_id <= ?2 AND received_at < (unixepoch('now') - ?3) * 1000";

const IS_KEPT: &str = "
  AND event_id NOT IN (SELECT event_id FROM webhook_inbox)";

const AGE_OF_FIRST: &str = "\
SELECT unixepoch('now') - received_at / 1000 FROM webhook_inbox ORDER BY seq LIMIT 1";

const COUNTS: &str = "\
SELECT count(*) FILTER (WHERE state IN (0, 3)),
  count(*) FILTER (WHERE state = 1),
  count(*) FILTER (WHERE state = 2),
  CAST(unixepoch('subsec') * 1000 AS INTEGER) - min(received_at) FILTER (WHERE state <> 2)
FROM webhook_inbox
WHERE sender = ?1";

/// Whether a row `w` may run, by its order key: it runs already, and its lease has run out, or it is the first of its
/// key and none of the key runs. Only the part `w.state = 1` keeps an expired row and one with a lower number that was
/// committed later from waiting for each other.
fn is_head(is_strict: bool) -> String {
    let parked = "
      AND NOT EXISTS (
        SELECT 1 FROM webhook_inbox q WHERE q.order_key = w.order_key AND q.state = 2 AND q.seq < w.seq)";
    format!(
        "(w.order_key IS NULL OR w.state = 1 OR (
      NOT EXISTS (
        SELECT 1 FROM webhook_inbox p WHERE p.order_key = w.order_key AND p.state <> 2 AND p.seq < w.seq)
      AND NOT EXISTS (SELECT 1 FROM webhook_inbox r WHERE r.order_key = w.order_key AND r.state = 1){}))",
        if is_strict { parked } else { "" }
    )
}

/// Written out for one inbox.
#[derive(Debug)]
pub struct Statements {
    pub(super) is_strict: bool,
    pub(super) see: Many<String>,
    pub(super) store: Many<String>,
    pub(super) store_bodies: Many<String>,
    pub(super) is_due: Arc<str>,
    pub(super) take: Arc<str>,
    pub(super) bodies: Many<String>,
    renew: Many<String>,
    complete: Many<String>,
    back_off: Many<String>,
    park: Many<String>,
    release: Many<String>,
    replay: Many<String>,
    discard: Many<String>,
    pub(super) found: Many<String>,
    pub(super) delete_bodies: Many<String>,
    pub(super) free: Many<String>,
    pub(super) heads: Arc<str>,
    pub(super) next_due: Arc<str>,
    pub(super) page_end: Arc<str>,
    pub(super) purge: Arc<str>,
    pub(super) purge_processed: Arc<str>,
    pub(super) age_of_first: Arc<str>,
    pub(super) counts: Arc<str>,
}

impl Statements {
    pub(super) fn new(names: &Names, rules: Rules) -> Self {
        let is_strict = rules.is_strict;
        let follows = if is_strict { format!("{FOLLOWS}{FOLLOWS_PARKED}") } else { FOLLOWS.to_owned() };
        let write = |statement: &str| {
            let statement = statement.replace("{is head}", &is_head(is_strict));
            names.in_statement(&statement.replace("{follows}", &follows))
        };
        let written = |statement: &str| Arc::<str>::from(write(statement));
        Self {
            is_strict,
            see: SEE.written(write),
            store: STORE.written(write),
            store_bodies: STORE_BODIES.written(write),
            is_due: written(IS_DUE),
            take: written(TAKE),
            bodies: BODIES.written(write),
            renew: RENEW.written(write),
            complete: COMPLETE.written(write),
            back_off: BACK_OFF.written(write),
            park: PARK.written(write),
            release: RELEASE.written(write),
            replay: REPLAY.written(write),
            discard: DISCARD.written(write),
            found: FOUND.written(write),
            delete_bodies: DELETE_BODIES.written(write),
            free: FREE.written(write),
            heads: written(HEADS),
            next_due: written(NEXT_DUE),
            page_end: written(PAGE_END),
            purge: written(PURGE),
            purge_processed: written(&format!("{PURGE}{IS_KEPT}")),
            age_of_first: written(AGE_OF_FIRST),
            counts: written(COUNTS),
        }
    }

    pub(super) fn step(&self, step: Step) -> &Many<String> {
        match step {
            Step::Renew => &self.renew,
            Step::Complete => &self.complete,
            Step::BackOff => &self.back_off,
            Step::Park => &self.park,
            Step::Release => &self.release,
            Step::Replay => &self.replay,
            Step::Discard => &self.discard,
        }
    }
}
