//! The row of a delivery that was taken.

use tokio::time::Instant;

use super::delivery::{Held, Taken, TakenBatch, UsedUp, without_sender};
use super::dialect::NewTake;
use super::step::PARKED;
use crate::claim::Ownership;

/// A row as a take returns it.
pub(super) struct TakenRow {
    pub(super) seq: i64,
    /// With its sender, as its order key.
    pub(super) key: String,
    pub(super) event_type: String,
    pub(super) order_key: Option<String>,
    pub(super) attempts: i64,
    pub(super) token: i64,
    pub(super) state: i64,
    pub(super) stored: Vec<u8>,
}

impl TakenRow {
    /// Those that were taken, in the order of their arrival, and those that were parked.
    pub(super) fn batch(mut rows: Vec<Self>, take: &NewTake, lease_until: Instant) -> TakenBatch {
        rows.sort_by_key(|row| row.seq);
        let mut batch = TakenBatch::default();
        for row in rows {
            let attempts = u32::try_from(row.attempts).unwrap_or(0);
            let event_id = without_sender(&row.key, &take.sender);
            if row.state == PARKED {
                batch.parked.push(UsedUp { event_id, attempts });
                continue;
            }
            let token = u64::try_from(row.token).unwrap_or(0);
            batch.taken.push(Taken {
                held: Held {
                    seq: row.seq,
                    event_id: event_id.into(),
                    ownership: Ownership { owner: take.owner, token },
                },
                event_type: row.event_type,
                order_key: row.order_key.map(|key| without_sender(&key, &take.sender)),
                attempts,
                lease_until,
                stored: row.stored,
            });
        }
        batch
    }
}
