//! The statements about replies of PostgreSQL.

use std::sync::Arc;

use super::bounds::bounded;
use crate::event_table::columns::Traps;
use crate::event_table::name::TableName;

const COMPLETE_WITH_REPLY_ONE: &str = "\
WITH {bounds of one}
UPDATE stripe_processed_events
SET state = 1, lease_until = NULL, updated_at = clock_timestamp(),
  reply_until = clock_timestamp() + $5 * interval '1 millisecond', reply = $6
FROM bounds
WHERE is_in_time = 1 AND event_id = $2 AND owner = $3 AND fencing_token = $4 AND state IN (0, 1)";

const COMPLETE_WITH_REPLY: &str = "\
WITH {bounds of many}
UPDATE stripe_processed_events AS e
SET state = 1, lease_until = NULL, updated_at = clock_timestamp(),
  reply_until = clock_timestamp() + b.keep * interval '1 millisecond', reply = b.reply
FROM bounds, unnest($2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[])
  AS b (id, owner, fencing_token, keep, reply)
WHERE is_in_time = 1
  AND e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1)
RETURNING e.event_id::text";

const REPLY_ONE: &str = "\
WITH durable AS MATERIALIZED (SELECT {durable})
SELECT reply FROM durable, stripe_processed_events
WHERE event_id = $1 AND state = 1 AND reply IS NOT NULL AND reply_until > clock_timestamp()";

/// The limit keeps the join a loop over the index. With `= ANY`, the server reads all of a small table.
const REPLIES: &str = "\
WITH durable AS MATERIALIZED (SELECT {durable}{planned anew by ids})
SELECT b.id, e.reply
FROM durable, unnest($1::text[]) AS b (id), LATERAL (
  SELECT reply FROM stripe_processed_events
  WHERE event_id = b.id AND state = 1 AND reply IS NOT NULL AND reply_until > clock_timestamp()
  LIMIT 1
) AS e";

/// A claim's statement that also returns the replies of processed events.
fn read(claim: &str) -> String {
    let claim =
        claim.replace("{kept reply}", " CASE WHEN reply_until > clock_timestamp() THEN reply END AS reply");
    claim.replace("{no reply}", ", NULL::bytea AS reply").replace("{reply}", ", reply")
}

/// The same without replies: nothing of them is read.
pub(super) fn unread(claim: &str) -> String {
    ["{kept reply}", "{no reply}", "{reply}"]
        .iter()
        .fold(claim.to_owned(), |claim, part| claim.replace(part, ""))
}

/// Only in the transaction that made the mark, as `OWN` says.
const KEEP_IN: &str = "\
UPDATE stripe_processed_events
SET reply_until = clock_timestamp() + $4 * interval '1 millisecond', reply = $3
WHERE event_id = $1 AND owner = $2 AND state = 1 AND xmin::text = (txid_current() % 4294967296)::text";

const DROP_REPLY: &str = "\
UPDATE stripe_processed_events SET reply_until = NULL, reply = NULL WHERE event_id = $1 AND owner = $2";

const PURGE_REPLIES: &str = "\
UPDATE stripe_processed_events SET reply_until = NULL, reply = NULL
WHERE event_id > $1 AND event_id <= $2 AND reply_until <= clock_timestamp()";

/// Written out for one table.
#[derive(Debug)]
pub struct ReplyStatements {
    /// Whether the server keeps prepared statements from one request to the next.
    pub(crate) persists: bool,
    /// For one event, and for many.
    pub(super) claim: [Arc<str>; 2],
    pub(crate) complete: [Arc<str>; 2],
    pub(crate) read: [Arc<str>; 2],
    pub(crate) keep_in: Arc<str>,
    pub(crate) drop: Arc<str>,
    pub(crate) purge: Arc<str>,
}

impl ReplyStatements {
    /// `claims` are the statements for one event, and for many.
    pub(crate) fn new(table: &TableName, claims: [&str; 2], traps: &Traps) -> Self {
        let written = |statement: &str| table.prepared(&bounded(statement));
        Self {
            persists: !traps.has_pooler,
            claim: claims.map(|claim| written(&read(claim))),
            complete: [written(COMPLETE_WITH_REPLY_ONE), written(COMPLETE_WITH_REPLY)],
            read: [written(REPLY_ONE), written(REPLIES)],
            keep_in: written(KEEP_IN),
            drop: written(DROP_REPLY),
            purge: written(PURGE_REPLIES),
        }
    }
}
