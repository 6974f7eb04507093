//! The statements about replies of MySQL and MariaDB.

use std::sync::Arc;

use super::claim_updates::{COMPLETE_WITH_REPLY, ClaimUpdates};
use crate::event_table::many::Many;
use crate::event_table::name::TableName;

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
    pub(crate) complete: ClaimUpdates,
    pub(crate) read: Many<String>,
    pub(crate) keep_in: Arc<str>,
    pub(crate) drop: Arc<str>,
    pub(crate) purge: Arc<str>,
}

impl ReplyStatements {
    pub(crate) fn new(table: &TableName) -> Self {
        Self {
            complete: ClaimUpdates::new(table, &COMPLETE_WITH_REPLY),
            read: REPLIES.of(table),
            keep_in: table.prepared(KEEP_IN),
            drop: table.prepared(DROP_REPLY),
            purge: table.prepared(PURGE_REPLIES),
        }
    }
}
