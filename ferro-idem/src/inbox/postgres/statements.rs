//! PostgreSQL's statements of an inbox.
//!
//! A time that is compared with an index is `now()`: `clock_timestamp()` is read anew for each row, so that no index
//! serves the comparison.
//!
//! What is looked up by an order key is the next row in an index's own order, with a limit of one. The server then has
//! no other plan, whatever its statistics say: if 50,000 of one key are waiting, it expects most keys to have as many,
//! and an `EXISTS` reads the whole table.

use std::sync::Arc;

use super::steps;
use crate::inbox::dialect::Rules;
use crate::inbox::names::Names;
use crate::inbox::step::Step;
use crate::server_clock::ServerClock;
use crate::sql::postgres::bounded;

/// Bodies are apart: an update of a row copies all of it. Rows of up to 8 kB are not compressed, which would cost more
/// than everything else. The small tables change all the time, so they are vacuumed by the number of their dead rows.
pub(super) const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS webhook_inbox_seen (
  event_id      TEXT COLLATE \"C\" PRIMARY KEY,
  received_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS webhook_inbox (
  seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sender        TEXT COLLATE \"C\" NOT NULL,
  event_id      TEXT COLLATE \"C\" NOT NULL,
  event_type    TEXT NOT NULL,
  order_key     TEXT COLLATE \"C\",
  state         SMALLINT NOT NULL DEFAULT 0,
  due_at        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  attempts      INT NOT NULL DEFAULT 0,
  fencing_token BIGINT NOT NULL DEFAULT 0,
  owner         UUID,
  received_at   TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  last_error    TEXT,
  layout        SMALLINT NOT NULL DEFAULT 1
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE IF NOT EXISTS webhook_inbox_body (
  seq           BIGINT PRIMARY KEY,
  body          BYTEA NOT NULL
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX IF NOT EXISTS index_webhook_inbox_due ON webhook_inbox (sender, due_at, seq) WHERE state < 2;
CREATE UNIQUE INDEX IF NOT EXISTS index_webhook_inbox_running ON webhook_inbox (order_key)
WHERE state = 1 AND order_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_lane ON webhook_inbox (order_key, seq)
WHERE state <> 2 AND order_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_blocked ON webhook_inbox (order_key, seq) WHERE state = 3;
CREATE INDEX IF NOT EXISTS index_webhook_inbox_parked ON webhook_inbox (order_key, seq) WHERE state = 2;";

/// The number is a part of a default, so that older versions find it in the catalogue. $1 is the table's name.
pub(super) const LAYOUT: &str = "\
SELECT substring(pg_get_expr(adbin, adrelid) FROM '\\d+')::bigint
FROM pg_attrdef
JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
WHERE adrelid = to_regclass($1) AND attname = 'layout'";

/// The keys are inserted in the order of their bytes: batches that insert in any order deadlock. The numbers are given
/// in the order of arrival.
const RECEIVE: &str = "\
WITH {bounds of many},
i AS MATERIALIZED (
  SELECT d.*
  FROM bounds, unnest($3::text[], $4::text[], $5::text[], $6::bytea[])
    WITH ORDINALITY AS d (event_id, event_type, order_key, body, n)
),
seen AS (
  INSERT INTO webhook_inbox_seen (event_id)
  SELECT event_id FROM i ORDER BY event_id
  ON CONFLICT (event_id) DO NOTHING
  RETURNING event_id
),
stored AS (
  INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state)
  SELECT $2, event_id, event_type, order_key, {state}
  FROM {new} AS new
  ORDER BY n
  RETURNING seq, event_id
),
bodies AS (
  INSERT INTO webhook_inbox_body (seq, body)
  SELECT stored.seq, i.body FROM stored JOIN i USING (event_id)
)
SELECT event_id::text FROM seen";

/// None of them has an order key.
const NEW: &str = "(SELECT i.* FROM i JOIN seen USING (event_id))";

/// `repeats`: one of the same key comes before it.
const NEW_KEYED: &str = "(
    SELECT i.*, row_number() OVER (PARTITION BY order_key ORDER BY n) > 1 AS repeats
    FROM i JOIN seen USING (event_id)
  )";

const STATE_KEYED: &str = "CASE WHEN order_key IS NOT NULL AND (repeats OR {follows}) THEN 3 ELSE 0 END";

/// Whether one of the same key is there already.
const FOLLOWS: &str = "\
COALESCE({order key} = (
      SELECT p.order_key FROM webhook_inbox p
      WHERE p.state <> 2 AND p.order_key >= {order key}
      ORDER BY p.order_key, p.seq
      LIMIT 1), false)";

const FOLLOWS_PARKED: &str = "
    OR COALESCE({order key} = (
      SELECT q.order_key FROM webhook_inbox q
      WHERE q.state = 2 AND q.order_key >= {order key}
      ORDER BY q.order_key, q.seq
      LIMIT 1), false)";

/// Whether a row `w` may run, by its order key: it runs already, and its lease has run out, or it is the first of its
/// key and none of the key runs. Only the part `w.state = 1` keeps an expired row and one with a lower number that was
/// committed later from waiting for each other.
const IS_HEAD: &str = "\
(w.order_key IS NULL OR w.state = 1 OR (
      w.order_key IS DISTINCT FROM (
        SELECT p.order_key FROM webhook_inbox p
        WHERE p.state <> 2 AND p.order_key IS NOT NULL AND (p.order_key, p.seq) < (w.order_key, w.seq)
        ORDER BY p.order_key DESC, p.seq DESC
        LIMIT 1)
      AND w.order_key IS DISTINCT FROM (
        SELECT r.order_key FROM webhook_inbox r
        WHERE r.state = 1 AND r.order_key IS NOT NULL AND r.order_key >= w.order_key
        ORDER BY r.order_key
        LIMIT 1){parked}))";

const NO_PARKED: &str = "
      AND w.order_key IS DISTINCT FROM (
        SELECT q.order_key FROM webhook_inbox q
        WHERE q.state = 2 AND (q.order_key, q.seq) < (w.order_key, w.seq)
        ORDER BY q.order_key DESC, q.seq DESC
        LIMIT 1)";

/// One without an order key. The server plans it once.
const RECEIVE_ONE: &str = "\
WITH {bounds of one},
seen AS (
  INSERT INTO webhook_inbox_seen (event_id)
  SELECT $3 FROM bounds
  ON CONFLICT (event_id) DO NOTHING
  RETURNING event_id
),
stored AS (
  INSERT INTO webhook_inbox (sender, event_id, event_type)
  SELECT $2, event_id, $4 FROM seen
  RETURNING seq
),
bodies AS (
  INSERT INTO webhook_inbox_body (seq, body)
  SELECT seq, $5 FROM stored
)
SELECT event_id::text FROM seen";

/// In the application's transaction, which has no deadline.
const PUT: &str = "\
WITH seen AS (
  INSERT INTO webhook_inbox_seen (event_id)
  SELECT $2
  ON CONFLICT (event_id) DO NOTHING
  RETURNING event_id
),
stored AS (
  INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state)
  SELECT $1, event_id, $3, $4::text, CASE WHEN {follows} THEN 3 ELSE 0 END FROM seen
  RETURNING seq
),
bodies AS (
  INSERT INTO webhook_inbox_body (seq, body)
  SELECT seq, $5 FROM stored
)
SELECT event_id::text FROM seen";

/// Transactions that put deliveries of one key wait for each other, so that a lower number is committed first.
const LOCK_KEY: &str = "\
SELECT pg_advisory_xact_lock(hashtextextended($1, 'webhook_inbox'::regclass::oid::bigint))";

/// The rows are found in a CTE of their own: a plan could run a subquery with a limit twice. Its index gives the order,
/// so that only as many rows are locked as are taken.
const TAKE: &str = "\
WITH {bounds of many},
due AS MATERIALIZED (
  SELECT w.seq FROM webhook_inbox w
  WHERE w.sender = $2 AND w.state < 2 AND w.due_at <= now()
    AND {is head}
  ORDER BY w.due_at, w.seq
  LIMIT $6
  FOR UPDATE SKIP LOCKED
),
taken AS (
  UPDATE webhook_inbox w
  SET state = CASE WHEN attempts >= $5 THEN 2 ELSE 1 END,
    owner = $3,
    fencing_token = fencing_token + 1,
    attempts = attempts + (attempts < $5)::int,
    due_at = clock_timestamp() + CASE WHEN attempts >= $5 THEN 0 ELSE $4 END * interval '1 millisecond',
    last_error = CASE WHEN attempts >= $5 THEN COALESCE(last_error, $7) ELSE last_error END
  FROM due, bounds
  WHERE is_in_time = 1 AND w.seq = due.seq
  RETURNING w.*
)
SELECT w.seq, w.event_id::text, w.event_type, w.order_key::text, w.attempts::bigint, w.fencing_token,
  w.state::bigint, b.body
FROM taken w LEFT JOIN webhook_inbox_body b USING (seq)
ORDER BY w.seq";

/// What an earlier attempt of the take got.
const HELD_BY: &str = "\
SELECT w.seq, w.event_id::text, w.event_type, w.order_key::text, w.attempts::bigint, w.fencing_token,
  w.state::bigint, b.body, (EXTRACT(EPOCH FROM w.due_at - clock_timestamp()) * 1000)::bigint
FROM webhook_inbox w LEFT JOIN webhook_inbox_body b USING (seq)
WHERE w.sender = $1 AND w.state = 1 AND w.due_at > now() AND w.owner = $2
ORDER BY w.seq";

/// $1 is the key that the last step ended with, $2 the most keys.
const FREE_HEADS: &str = "\
WITH RECURSIVE k (order_key, n) AS (
  SELECT (
    SELECT w.order_key FROM webhook_inbox w
    WHERE w.state = 3 AND w.order_key > $1 ORDER BY w.order_key LIMIT 1), 1
  UNION ALL
  SELECT (
    SELECT w.order_key FROM webhook_inbox w
    WHERE w.state = 3 AND w.order_key > k.order_key ORDER BY w.order_key LIMIT 1), n + 1
  FROM k
  WHERE k.order_key IS NOT NULL AND n < $2
),
{freed}
SELECT (SELECT count(*) FROM freed),
  (SELECT order_key::text FROM k WHERE n = $2)";

/// $1 are the keys.
const FREE_KEYS: &str = "\
WITH k AS (
  SELECT DISTINCT unnest($1::text[]) COLLATE \"C\" AS order_key
),
{freed}
SELECT count(*) FROM freed";

/// The first of each of the keys `k`, if it waits for another one that is gone.
const FREED: &str = "\
first AS MATERIALIZED (
  SELECT n.seq
  FROM k CROSS JOIN LATERAL (
    SELECT n.seq FROM webhook_inbox n
    WHERE n.order_key >= k.order_key AND n.state <> 2
    ORDER BY n.order_key, n.seq
    LIMIT 1
  ) AS n
),
free AS MATERIALIZED (
  SELECT w.seq FROM webhook_inbox w JOIN first USING (seq)
  WHERE w.state = 3 AND {is head}
  FOR UPDATE OF w SKIP LOCKED
),
freed AS (
  UPDATE webhook_inbox w
  SET state = 0, due_at = clock_timestamp()
  FROM free
  WHERE w.seq = free.seq
  RETURNING w.seq
)";

const NEXT_DUE: &str = "\
SELECT (EXTRACT(EPOCH FROM min(due_at) - clock_timestamp()) * 1000)::bigint
FROM webhook_inbox
WHERE sender = $1 AND state < 2 AND due_at > now()";

const PAGE_END: &str = "\
SELECT max(event_id)::text
FROM (SELECT event_id FROM webhook_inbox_seen WHERE event_id > $1 ORDER BY event_id LIMIT $2) AS page";

const PURGE: &str = "\
DELETE FROM webhook_inbox_seen s
WHERE event_id > $1 AND event_id <= $2 AND received_at < now() - $3 * interval '1 second'";

const IS_KEPT: &str = "
  AND NOT EXISTS (SELECT FROM webhook_inbox w WHERE w.event_id = s.event_id)";

const AGE_OF_FIRST: &str = "\
SELECT EXTRACT(EPOCH FROM now() - received_at)::bigint FROM webhook_inbox ORDER BY seq LIMIT 1";

const COUNTS: &str = "\
SELECT count(*) FILTER (WHERE state IN (0, 3)),
  count(*) FILTER (WHERE state = 1),
  count(*) FILTER (WHERE state = 2),
  (EXTRACT(EPOCH FROM clock_timestamp() - min(received_at) FILTER (WHERE state <> 2)) * 1000)::bigint
FROM webhook_inbox
WHERE sender = $1";

/// Written out for one inbox.
#[derive(Debug)]
pub struct Statements {
    /// Whether the server keeps prepared statements from one request to the next.
    pub(super) persists: bool,
    /// What the server's clock showed last.
    pub(super) clock: ServerClock,
    pub(super) receive: Arc<str>,
    pub(super) receive_keyed: Arc<str>,
    pub(super) receive_one: Arc<str>,
    pub(super) put: Arc<str>,
    pub(super) lock_key: Arc<str>,
    pub(super) take: Arc<str>,
    pub(super) held_by: Arc<str>,
    renew: Arc<str>,
    complete: Arc<str>,
    back_off: Arc<str>,
    park: Arc<str>,
    release: Arc<str>,
    replay: Arc<str>,
    discard: Arc<str>,
    pub(super) found: Arc<str>,
    pub(super) free_heads: Arc<str>,
    pub(super) free_keys: Arc<str>,
    pub(super) next_due: Arc<str>,
    pub(super) page_end: Arc<str>,
    pub(super) purge: Arc<str>,
    pub(super) purge_processed: Arc<str>,
    pub(super) age_of_first: Arc<str>,
    pub(super) counts: Arc<str>,
}

impl Statements {
    pub(super) fn new(names: &Names, Rules { is_strict, has_pooler }: Rules) -> Self {
        let is_head = IS_HEAD.replace("{parked}", if is_strict { NO_PARKED } else { "" });
        let written = |statement: &str| -> Arc<str> {
            names.prepared(&bounded(statement).replace("{is head}", &is_head))
        };
        let follows = if is_strict { format!("({FOLLOWS}{FOLLOWS_PARKED})") } else { FOLLOWS.to_owned() };
        let follows = |key: &str| follows.replace("{order key}", key);
        let receive =
            |new: &str, state: &str| written(&RECEIVE.replace("{new}", new).replace("{state}", state));
        let step = |step: Step| written(&steps::of(step, is_strict));
        Self {
            persists: !has_pooler,
            clock: ServerClock::default(),
            receive: receive(NEW, "0"),
            receive_keyed: receive(NEW_KEYED, &STATE_KEYED.replace("{follows}", &follows("new.order_key"))),
            receive_one: written(RECEIVE_ONE),
            put: written(&PUT.replace("{follows}", &follows("$4::text"))),
            lock_key: written(LOCK_KEY),
            take: written(TAKE),
            held_by: written(HELD_BY),
            renew: step(Step::Renew),
            complete: step(Step::Complete),
            back_off: step(Step::BackOff),
            park: step(Step::Park),
            release: step(Step::Release),
            replay: step(Step::Replay),
            discard: step(Step::Discard),
            found: written(steps::FOUND),
            free_heads: written(&FREE_HEADS.replace("{freed}", FREED)),
            free_keys: written(&FREE_KEYS.replace("{freed}", FREED)),
            next_due: written(NEXT_DUE),
            page_end: written(PAGE_END),
            purge: written(PURGE),
            purge_processed: written(&format!("{PURGE}{IS_KEPT}")),
            age_of_first: written(AGE_OF_FIRST),
            counts: written(COUNTS),
        }
    }

    pub(super) fn step(&self, step: Step) -> &Arc<str> {
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
