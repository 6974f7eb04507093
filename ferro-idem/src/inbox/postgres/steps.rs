//! PostgreSQL's statements for what is done to deliveries that are held or parked.

use crate::inbox::step::{PARKED, Step};

/// A step over deliveries. A step that ends a delivery frees the next one of its key.
const STEP: &str = "\
WITH {bounds of many},
d AS MATERIALIZED (
  SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[])
    AS d (seq, fencing_token, owner, millis, error)
),
changed AS (
  {change}
  WHERE is_in_time = 1
    AND w.seq = d.seq AND w.fencing_token = d.fencing_token AND {is as seen}
  RETURNING w.seq, w.order_key
){then}
SELECT seq{key} FROM changed";

const IS_HELD: &str = "w.owner = d.owner AND w.state = 1";

/// One that was parked by hand has no owner.
const IS_PARKED: &str = "COALESCE(w.owner, '00000000-0000-0000-0000-000000000000') = d.owner AND w.state = 2";

const RENEW: &str = "\
UPDATE webhook_inbox w
  SET due_at = clock_timestamp() + d.millis * interval '1 millisecond'
  FROM bounds, d";

const DELETE: &str = "\
DELETE FROM webhook_inbox w
  USING bounds, d";

const BACK_OFF: &str = "\
UPDATE webhook_inbox w
  SET state = 0, due_at = clock_timestamp() + d.millis * interval '1 millisecond', last_error = d.error
  FROM bounds, d";

const PARK: &str = "\
UPDATE webhook_inbox w
  SET state = 2, due_at = clock_timestamp(), last_error = d.error
  FROM bounds, d";

const RELEASE: &str = "\
UPDATE webhook_inbox w
  SET state = 0, due_at = clock_timestamp(), attempts = greatest(w.attempts - 1, 0)
  FROM bounds, d";

/// Those with an order key wait for others. The first of each key is freed by the next statement, which sees them.
const REPLAY: &str = "\
UPDATE webhook_inbox w
  SET state = CASE WHEN w.order_key IS NULL THEN 0 ELSE 3 END, due_at = clock_timestamp(), attempts = 0
  FROM bounds, d";

const DELETE_BODIES: &str = ",
bodies AS (
  DELETE FROM webhook_inbox_body b USING changed WHERE b.seq = changed.seq
)";

const FREE_NEXT: &str = ",
next AS (
  SELECT first.seq
  FROM changed CROSS JOIN LATERAL (
    SELECT n.order_key, n.seq FROM webhook_inbox n
    WHERE n.order_key >= changed.order_key AND n.state <> 2 AND n.seq <> changed.seq
    ORDER BY n.order_key, n.seq
    LIMIT 1
  ) AS first
  WHERE first.order_key = changed.order_key
),
freed AS (
  UPDATE webhook_inbox w
  SET state = 0, due_at = clock_timestamp()
  FROM next
  WHERE w.seq = next.seq AND w.state = 3
)";

/// The rows of these deliveries, to find out what an earlier attempt of the same step has changed.
pub(super) const FOUND: &str = "\
SELECT seq, fencing_token, owner, state::bigint
FROM webhook_inbox
WHERE seq = ANY($1)";

/// The statement of a step.
pub(super) fn of(step: Step, is_strict: bool) -> String {
    let change = match step {
        Step::Renew => RENEW,
        Step::Complete | Step::Discard => DELETE,
        Step::BackOff => BACK_OFF,
        Step::Park => PARK,
        Step::Release => RELEASE,
        Step::Replay => REPLAY,
    };
    let is_as_seen = if step.state_before() == PARKED { IS_PARKED } else { IS_HELD };
    let bodies = if step.deletes() { DELETE_BODIES } else { "" };
    let is_replay = step == Step::Replay;
    let next = if step.frees_the_next(is_strict) && !is_replay { FREE_NEXT } else { "" };
    STEP.replace("{change}", change)
        .replace("{is as seen}", is_as_seen)
        .replace("{then}", &format!("{bodies}{next}"))
        .replace("{key}", if is_replay { ", order_key::text" } else { "" })
}
