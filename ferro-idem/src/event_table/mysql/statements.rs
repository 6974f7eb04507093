//! The statements of MySQL and MariaDB, for one event or many.
//!
//! Ids are bound as bytes. Times are `UTC_TIMESTAMP(6)`: the start of the statement, so a lease that had to
//! wait for a lock is never longer than its owner believes.

use std::sync::Arc;

use super::bounds::in_time;
pub(crate) use super::bounds::patient;
use super::claim_updates::{COMPLETE, ClaimUpdates, RELEASE, RENEW, WITHDRAW};
use super::columns::in_schema;
use super::replies::ReplyStatements;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::ClaimStep;
use crate::event_table::many::Many;
use crate::event_table::name::TableName;
use crate::server_clock::ServerClock;

pub(crate) const SCHEMA: &str = include_str!("../../sql/mysql/schema.sql").trim_ascii_end();

pub(crate) const UPGRADE: &str = include_str!("../../sql/mysql/upgrade.sql").trim_ascii_end();

/// A plain insert: `INSERT IGNORE` would cut ids off and hide other errors too.
const INSERT: &str = concat!(
    "INSERT INTO stripe_processed_events (event_id, event_type, owner)\n",
    "VALUES (IF(",
    in_time!(),
    ", ?, NULL), ?, ?)"
);

const INSERT_PLAIN: &str = concat!(
    "INSERT INTO stripe_processed_events (event_id, event_type)\n",
    "VALUES (IF(",
    in_time!(),
    ", ?, NULL), ?)"
);

/// In a transaction. Its connection takes the transaction along if it is given up, so it needs no deadline.
const INSERT_IN: &str = "INSERT INTO stripe_processed_events (event_id, event_type, owner) VALUES (?, ?, ?)";

const INSERT_IN_PLAIN: &str = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?, ?)";

/// The rows after an insert, as [`OWNERS`]. MySQL takes it for a comment.
///
/// MariaDB returns the row of each event, inserted or not, and reports the end of the rows after the commit
/// (<https://mariadb.com/docs/server/reference/sql-statements/data-manipulation/inserting-loading-data/insertreturning>).
macro_rules! returning {
    ($($more:literal)?) => {
        concat!(
            "\n/*M!100500 RETURNING event_id, owner, fencing_token, CAST(state AS SIGNED)",
            $($more,)?
            " */"
        )
    };
}

/// The same with the replies of processed events.
const RETURNING_REPLIES: &str = returning!(", IF(state = 1 AND reply_until > UTC_TIMESTAMP(6), reply, NULL)");

/// Leaves existing rows unchanged. The number of rows does not tell inserted ones from existing ones, but whose they
/// are does.
const MARK: Many = Many {
    head: "INSERT INTO stripe_processed_events (event_id, event_type, owner)\nVALUES ",
    row: concat!("(IF(", in_time!(), ", ?, NULL), ?, ?)"),
    between: ", ",
    tail: concat!("\nON DUPLICATE KEY UPDATE event_id = event_id", returning!()),
};

/// The same after another attempt, which may have made the rows. It changes those, so that its own commit waits until
/// they are written to the log.
///
/// `InnoDB` shows a commit to other sessions before it is written to the log, and a server that is killed in between
/// forgets it. Without a change, this statement has nothing to write, and the row that it found would not be a proof.
/// The time is always another one than before.
const MARK_AGAIN: Many = Many {
    tail: concat!(
        "
ON DUPLICATE KEY UPDATE
  updated_at = IF(
    owner <=> VALUES(owner),
    CURRENT_TIMESTAMP + INTERVAL IF(updated_at = CURRENT_TIMESTAMP, 1, 0) SECOND, updated_at)",
        returning!()
    ),
    ..MARK
};

/// The owners and states of rows.
const OWNERS: Many = Many {
    head: "\
SELECT event_id, owner, fencing_token, CAST(state AS SIGNED)
FROM stripe_processed_events
WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// Each assignment reads only columns that are assigned after it, or asks whether the row is the claim's already.
/// So it does not matter whether the server assigns one by one (the default) or all at once
/// (`SIMULTANEOUS_ASSIGNMENT`).
const CLAIM: Many = Many {
    head: "\
INSERT INTO stripe_processed_events (event_id, event_type, state, owner, fencing_token, lease_until)
VALUES ",
    row: concat!(
        "(IF(",
        in_time!(),
        ", ?, NULL), ?, 0, ?, 1, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)))"
    ),
    between: ", ",
    tail: concat!(
        "
ON DUPLICATE KEY UPDATE
  fencing_token = fencing_token + IF(
    state <> 1 AND NOT owner <=> VALUES(owner)
      AND (state = 2 OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)),
    1, 0),
  owner = IF(
    state <> 1 AND (state = 2 OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)),
    VALUES(owner), owner),
  updated_at = IF(
    state <> 1 AND (owner <=> VALUES(owner) OR state = 2
      OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)),
    CURRENT_TIMESTAMP, updated_at),
  lease_until = IF(
    state <> 1 AND (owner <=> VALUES(owner) OR state = 2
      OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)),
    VALUES(lease_until), lease_until),
  state = IF(
    state <> 1 AND (owner <=> VALUES(owner) OR state = 2
      OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)),
    0, state)",
        returning!()
    ),
};

const LOOK: Many = Many {
    head: "\
SELECT event_id, CAST(state AS SIGNED),
  TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), lease_until) DIV 1000
FROM stripe_processed_events
WHERE event_id IN (",
    row: "?",
    between: ", ",
    tail: ")",
};

/// Every row of a plain table is processed.
const LOOK_PLAIN: Many =
    Many { head: "SELECT event_id, 1, NULL FROM stripe_processed_events WHERE event_id IN (", ..LOOK };

const TAKE_OVER: &str = "\
UPDATE stripe_processed_events
SET state = 1, owner = ?, fencing_token = fencing_token + 1, lease_until = NULL, updated_at = CURRENT_TIMESTAMP
WHERE event_id = ? AND state <> 1 AND (state = 2 OR lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6))";

/// Only rows that a mark made. Claims and transactions have another state or token.
const UNMARK: Many = Many {
    head: "DELETE e FROM stripe_processed_events AS e JOIN (\n",
    row: "SELECT CAST(? AS BINARY) AS id, CAST(? AS BINARY) AS owner",
    between: " UNION ALL\n",
    tail: "
) AS b ON e.event_id = b.id
WHERE e.owner = b.owner AND e.state = 1 AND e.fencing_token = 0",
};

/// No row if the event has none.
const IS_OWN: &str = "SELECT CAST(owner <=> ? AS SIGNED) FROM stripe_processed_events WHERE event_id = ?";

const IS_OWN_PLAIN: &str = "SELECT CAST(? IS NULL AS SIGNED) FROM stripe_processed_events WHERE event_id = ?";

const OWN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ? AND owner = ?";

const OWN_PLAIN: &str = "SELECT 1 FROM stripe_processed_events WHERE event_id = ? AND ? IS NOT NULL";

const GIVE_BACK: &str = "\
UPDATE stripe_processed_events SET state = 2, updated_at = CURRENT_TIMESTAMP
WHERE event_id = ? AND owner = ? AND state = 1";

const TYPE_OF_RECEIVED_AT: &str = "\
SELECT CAST(data_type AS CHAR)
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = '{table}' AND column_name = 'received_at'";

const PAGE_END: &str = "\
SELECT MAX(event_id) FROM (SELECT event_id FROM stripe_processed_events
WHERE event_id > ? ORDER BY event_id LIMIT ?) AS page";

const DELETE_PAGE: &str = "\
DELETE FROM stripe_processed_events
WHERE event_id > ? AND event_id <= ? AND received_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND
AND (state <> 0 OR lease_until <= UTC_TIMESTAMP(6))";

const DELETE_PAGE_PLAIN: &str = "\
DELETE FROM stripe_processed_events
WHERE event_id > ? AND event_id <= ? AND received_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND";

/// Written out for one table.
#[derive(Debug)]
pub struct Statements {
    pub(crate) level: SchemaLevel,
    /// See [`Traps`](crate::sql::columns::Traps).
    pub(crate) verifies: bool,
    pub(crate) is_own: Arc<str>,
    pub(crate) type_of_received_at: Arc<str>,
    /// What the server's clock showed last.
    pub(crate) clock: ServerClock,
    pub(crate) insert: Arc<str>,
    pub(crate) insert_in: Arc<str>,
    pub(crate) mark: Many<String>,
    pub(crate) mark_again: Many<String>,
    pub(crate) replies: ReplyStatements,
    pub(crate) owners: Many<String>,
    claim: Many<String>,
    claim_reading_replies: Many<String>,
    pub(crate) look: Many<String>,
    renew: ClaimUpdates,
    complete: ClaimUpdates,
    release: ClaimUpdates,
    withdraw: ClaimUpdates,
    pub(crate) unmark: Many<String>,
    pub(crate) take_over: Arc<str>,
    pub(crate) own: Arc<str>,
    pub(crate) give_back: Arc<str>,
    pub(crate) page_end: Arc<str>,
    pub(crate) delete_page: Arc<str>,
}

impl Statements {
    pub(crate) fn new(table: &TableName, level: SchemaLevel, verifies: bool) -> Self {
        let written = |statement: &str| table.prepared(statement);
        let waiting = |many: Many, seconds: u8| {
            let many = many.of(table);
            Many { head: patient(&many.head, seconds), ..many }
        };
        let shared = |many: Many| waiting(many, 1);
        let (insert, insert_in, look, own, delete_page) = match level {
            SchemaLevel::Full => (INSERT, INSERT_IN, LOOK, OWN, DELETE_PAGE),
            SchemaLevel::Plain => (INSERT_PLAIN, INSERT_IN_PLAIN, LOOK_PLAIN, OWN_PLAIN, DELETE_PAGE_PLAIN),
        };
        let is_own = match level {
            SchemaLevel::Full => IS_OWN,
            SchemaLevel::Plain => IS_OWN_PLAIN,
        };
        let claim = shared(CLAIM);
        Self {
            level,
            verifies,
            is_own: written(is_own),
            type_of_received_at: in_schema(TYPE_OF_RECEIVED_AT, table)
                .replace("{table}", table.as_str())
                .into(),
            clock: ServerClock::default(),
            insert: written(&patient(insert, 1)),
            insert_in: written(&patient(insert_in, 0)),
            mark: shared(MARK),
            mark_again: shared(MARK_AGAIN),
            replies: ReplyStatements::new(table),
            owners: OWNERS.of(table),
            claim_reading_replies: Many {
                tail: claim.tail.replace(returning!(), RETURNING_REPLIES),
                ..claim.clone()
            },
            claim,
            look: look.of(table),
            renew: ClaimUpdates::new(table, &RENEW),
            complete: ClaimUpdates::new(table, &COMPLETE),
            release: ClaimUpdates::new(table, &RELEASE),
            withdraw: ClaimUpdates::new(table, &WITHDRAW),
            // A locked row keeps the other marks.
            unmark: waiting(UNMARK, 0),
            take_over: written(TAKE_OVER),
            own: written(own),
            give_back: written(GIVE_BACK),
            page_end: written(PAGE_END),
            delete_page: written(delete_page),
        }
    }

    pub(crate) fn claims(&self, reads_replies: bool) -> &Many<String> {
        if reads_replies { &self.claim_reading_replies } else { &self.claim }
    }

    pub(crate) fn update_claims(&self, step: ClaimStep) -> &ClaimUpdates {
        match step {
            ClaimStep::Renew => &self.renew,
            ClaimStep::Complete => &self.complete,
            ClaimStep::CompleteWithReply => &self.replies.complete,
            ClaimStep::Release => &self.release,
            ClaimStep::Withdraw => &self.withdraw,
        }
    }
}
