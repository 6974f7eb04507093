//! The statements about replies of SQLite.

use std::sync::Arc;

use crate::event_table::many::Many;
use crate::event_table::name::TableName;

const COMPLETE_WITH_REPLY: Many = Many {
    head: "WITH b (id, owner, fencing_token, keep, reply) AS (VALUES ",
    row: "(?, ?, ?, ?, ?)",
    between: ", ",
    tail: "\
) UPDATE OR ABORT stripe_processed_events AS e
SET state = 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP,
reply = b.reply, reply_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + b.keep FROM b
WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1)
RETURNING event_id",
};

const REPLIES: Many = Many {
    head: "\
SELECT event_id, reply FROM stripe_processed_events
WHERE state = 1 AND reply IS NOT NULL AND reply_until > CAST(unixepoch('subsec') * 1000 AS INTEGER) AND event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const KEEP_IN: &str = "\
UPDATE OR ABORT stripe_processed_events
SET reply = ?3, reply_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
WHERE event_id = ?1 AND owner = ?2 AND state = 1";

const DROP_REPLY: &str = "\
UPDATE OR ABORT stripe_processed_events SET reply_until = NULL, reply = NULL WHERE event_id = ?1 AND owner = ?2";

const PURGE_REPLIES: &str = "\
UPDATE OR ABORT stripe_processed_events SET reply_until = NULL, reply = NULL
WHERE event_id > ?1 AND event_id <= ?2 AND reply_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// Written out for one table.
#[derive(Debug)]
pub struct ReplyStatements {
    pub(crate) complete: Many<String>,
    pub(crate) read: Many<String>,
    pub(crate) keep_in: Arc<str>,
    pub(crate) drop: Arc<str>,
    pub(crate) purge: Arc<str>,
}

impl ReplyStatements {
    pub(crate) fn new(table: &TableName) -> Self {
        Self {
            complete: COMPLETE_WITH_REPLY.of(table),
            read: REPLIES.of(table),
            keep_in: table.prepared(KEEP_IN),
            drop: table.prepared(DROP_REPLY),
            purge: table.prepared(PURGE_REPLIES),
        }
    }
}
