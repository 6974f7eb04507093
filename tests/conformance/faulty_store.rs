//! The small log as a store of the kit.

use std::time::{Duration, Instant};

use ferro_idem::conformance::Store;

use super::faulty::{Defect, Faulty, State};
use super::faulty_transaction::Lent;

impl Store for Faulty {
    type Log = Self;

    async fn open(&self) -> Self {
        self.clone()
    }

    async fn restart(&self) -> bool {
        if self.has(Defect::ForgetsOnRestart) {
            self.table().rows.clear();
            self.table().replies.clear();
        }
        true
    }

    async fn purge(&self, _: &Self, _: Duration) -> Option<u64> {
        let mut table = self.table();
        let before = table.rows.len();
        table.rows.retain(|_, row| {
            matches!(row.state, State::Claimed { until } if until > Instant::now())
                && !self.has(Defect::PurgesLiveClaims)
        });
        if !self.has(Defect::PurgeKeepsReplies) {
            table.replies.clear();
        }
        Some((before - table.rows.len()) as u64)
    }

    async fn forget(&self, _: &Self, event_id: &str) -> bool {
        let mut table = self.table();
        table.rows.remove(&self.key(event_id));
        if !self.has(Defect::ForgetKeepsReplies) {
            table.replies.remove(&self.key(event_id));
        }
        true
    }

    async fn write_effect(&self, lent: &mut Lent, event_id: &str) {
        lent.write(event_id);
    }

    async fn effects(&self, _: &Self, event_id: &str) -> Option<u64> {
        Some(self.table().effects.iter().filter(|effect| *effect == event_id).count() as u64)
    }

    async fn roll_back_from_within(&self, lent: &mut Lent) -> bool {
        lent.roll_back();
        true
    }
}
