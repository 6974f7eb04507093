//! The statements about replies of MySQL and MariaDB.

use std::sync::Arc;

use super::bounds::{in_time, patient};
use crate::event_table::many::Many;
use crate::event_table::name::TableName;

/// As the completion without a reply. The cast keeps replies of any length, and of bytes that are no text.
const COMPLETE_WITH_REPLY: Many = Many {
    head: "UPDATE stripe_processed_events AS e JOIN (\n",
    row: "\
SELECT CAST(? AS BINARY) AS id, CAST(? AS BINARY) AS owner, ? AS fencing_token, ? AS keep_micros,
  CAST(? AS BINARY) AS reply",
    between: " UNION ALL\n",
    tail: concat!(
        "\n) AS b ON e.event_id = b.id\n",
        "SET e.state = 1, e.lease_until = NULL,\n",
        "  e.updated_at = CURRENT_TIMESTAMP + INTERVAL IF(e.updated_at = CURRENT_TIMESTAMP, 1, 0) SECOND,\n",
        "  e.reply_until = TIMESTAMPADD(MICROSECOND, b.keep_micros, UTC_TIMESTAMP(6)), e.reply = b.reply\n",
        "WHERE e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1) AND ",
        in_time!()
    ),
};

const REPLIES: Many = Many {
    head: "\
SELECT event_id, reply
FROM stripe_processed_events
WHERE state = 1 AND reply IS NOT NULL AND reply_until > UTC_TIMESTAMP(6) AND event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

const KEEP_IN: &str = "\
UPDATE stripe_processed_events
SET reply_until = TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), reply = ?
WHERE event_id = ? AND owner = ? AND state = 1";

const DROP_REPLY: &str = "\
UPDATE stripe_processed_events SET reply_until = NULL, reply = NULL WHERE event_id = ? AND owner = ?";

const PURGE_REPLIES: &str = "\
UPDATE stripe_processed_events SET reply_until = NULL, reply = NULL
WHERE event_id > ? AND event_id <= ? AND reply_until <= UTC_TIMESTAMP(6)";

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
        let complete = COMPLETE_WITH_REPLY.of(table);
        Self {
            complete: Many { head: patient(&complete.head, 1), ..complete },
            read: REPLIES.of(table),
            keep_in: table.prepared(KEEP_IN),
            drop: table.prepared(DROP_REPLY),
            purge: table.prepared(PURGE_REPLIES),
        }
    }
}
