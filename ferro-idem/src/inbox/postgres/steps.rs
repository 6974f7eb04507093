//! PostgreSQL's statements for what a worker does with the deliveries that it holds.

use crate::inbox::step::Step;

/// A step over the deliveries that are held. A step that ends a delivery frees the next one of its key.
const STEP: &str = "\
WITH {bounds of many},
d AS MATERIALIZED (
  SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[])
    AS d (seq, fencing_token, owner, millis, error)
),
changed AS (
  {change}
  WHERE is_in_time = 1
    AND w.seq = d.seq AND w.fencing_token = d.fencing_token AND w.owner = d.owner AND w.state = 1
  RETURNING w.seq, w.order_key
){then}
SELECT seq FROM changed";

const RENEW: &str = "\
UPDATE webhook_inbox w
  SET due_at = clock_timestamp() + d.millis * interval '1 millisecond'
  FROM bounds, d";

const COMPLETE: &str = "\
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

/// Which of these deliveries an earlier attempt of the same step has changed. $4 is the state after it, NULL if they
/// are gone.
pub(super) const IS_DONE: &str = "\
SELECT d.seq
FROM unnest($1::bigint[], $2::bigint[], $3::uuid[]) AS d (seq, fencing_token, owner)
LEFT JOIN webhook_inbox w USING (seq)
WHERE CASE WHEN $4::smallint IS NULL THEN w.seq IS NULL
  ELSE w.fencing_token = d.fencing_token AND w.owner = d.owner AND w.state = $4 END";

/// The statement of a step.
pub(super) fn of(step: Step, is_strict: bool) -> String {
    let change = match step {
        Step::Renew => RENEW,
        Step::Complete => COMPLETE,
        Step::BackOff => BACK_OFF,
        Step::Park => PARK,
        Step::Release => RELEASE,
    };
    let bodies = if step == Step::Complete { DELETE_BODIES } else { "" };
    let next = if step.frees_the_next(is_strict) { FREE_NEXT } else { "" };
    STEP.replace("{change}", change).replace("{then}", &format!("{bodies}{next}"))
}
