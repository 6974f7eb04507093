//! The statements that change claims that are held: for one claim, and for many.

use std::sync::Arc;

use super::bounds::{in_time, patient};
use crate::event_table::many::Many;
use crate::event_table::name::TableName;

/// A row of the claims that are changed.
///
/// A replica may get the statement itself, with its parameters as text (`binlog_format = MIXED` and `STATEMENT`). So may
/// the server, from some drivers. Without the casts, a derived table does not keep bytes that are no text.
macro_rules! held {
    ($($value:literal)?) => {
        concat!(
            "SELECT ",
            $($value, ", ",)?
            "CAST(? AS BINARY) AS id, CAST(? AS BINARY) AS owner, ? AS fencing_token"
        )
    };
}

/// What a step changes. Its own values are bound before the id, the owner and the token of a claim.
pub(super) struct ClaimUpdate {
    row: &'static str,
    set: &'static str,
    states: &'static str,
}

pub(super) const RENEW: ClaimUpdate = ClaimUpdate {
    row: held!("? AS lease"),
    set: "e.lease_until = TIMESTAMPADD(MICROSECOND, b.lease, UTC_TIMESTAMP(6))",
    states: "e.state = 0",
};

/// Always changes the row, for the reason of [`MARK_AGAIN`](super::statements).
pub(super) const COMPLETE: ClaimUpdate = ClaimUpdate {
    row: held!(),
    set: "\
e.state = 1, e.lease_until = NULL,
  e.updated_at = CURRENT_TIMESTAMP + INTERVAL IF(e.updated_at = CURRENT_TIMESTAMP, 1, 0) SECOND",
    states: "e.state IN (0, 1)",
};

/// As the completion without a reply. The cast keeps replies of any length, and of bytes that are no text.
pub(super) const COMPLETE_WITH_REPLY: ClaimUpdate = ClaimUpdate {
    row: held!("? AS keep_micros, CAST(? AS BINARY) AS reply"),
    set: "\
e.state = 1, e.lease_until = NULL,
  e.updated_at = CURRENT_TIMESTAMP + INTERVAL IF(e.updated_at = CURRENT_TIMESTAMP, 1, 0) SECOND,
  e.reply_until = TIMESTAMPADD(MICROSECOND, b.keep_micros, UTC_TIMESTAMP(6)), e.reply = b.reply",
    states: "e.state IN (0, 1)",
};

pub(super) const RELEASE: ClaimUpdate = ClaimUpdate {
    row: held!(),
    set: "e.state = 2, e.lease_until = NULL, e.updated_at = CURRENT_TIMESTAMP",
    states: "e.state IN (0, 2)",
};

/// As if the claim had never been made: the next one gets the same token.
pub(super) const WITHDRAW: ClaimUpdate = ClaimUpdate {
    row: held!(),
    set: "\
e.state = 2, e.owner = NULL, e.fencing_token = e.fencing_token - 1, e.lease_until = NULL,
  e.updated_at = CURRENT_TIMESTAMP",
    states: "e.state = 0",
};

/// Written out for one table.
#[derive(Debug)]
pub(crate) struct ClaimUpdates {
    one: Arc<str>,
    many: Many<String>,
}

impl ClaimUpdates {
    pub(super) fn new(table: &TableName, update: &ClaimUpdate) -> Self {
        let ClaimUpdate { row, set, states } = update;
        let values_of_one = ["b.lease", "b.keep_micros", "b.reply"];
        let set_one = values_of_one.iter().fold((*set).to_owned(), |set, value| set.replace(value, "?"));
        let one = format!(
            "UPDATE stripe_processed_events AS e
SET {set_one}
WHERE e.event_id = CAST(? AS BINARY) AND e.owner = CAST(? AS BINARY) AND e.fencing_token = ?
  AND {states} AND {}",
            in_time!()
        );
        let tail = format!(
            "
) AS b ON e.event_id = b.id
SET {set}
WHERE e.owner = b.owner AND e.fencing_token = b.fencing_token AND {states} AND {}",
            in_time!()
        );
        let head = patient("UPDATE stripe_processed_events AS e JOIN (\n", 1);
        Self {
            one: table.prepared(&patient(&one, 1)),
            many: Many { head: table.in_statement(&head), row, between: " UNION ALL\n", tail },
        }
    }

    /// The statement, and what to bind for each claim. A repetition has no values, because a reply may be large.
    pub(crate) fn with<'i, T>(&self, items: &'i [T]) -> (Arc<str>, Vec<Option<&'i T>>) {
        if let [item] = items {
            return (Arc::clone(&self.one), vec![Some(item)]);
        }
        let (text, rows) = self.many.with_gaps(items);
        (text.into(), rows.collect())
    }
}
