//! Renewals, completions and releases that share a statement. Each step has a group of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BatchAnswer, BatchRequest, Follower, Group, tell_all};
use crate::sql::dialect::Dialect;
use crate::sql::event_state::{ClaimStep, HeldClaim};
use crate::sql::request::UpdateClaims;
use crate::sql::session::Session;

/// A step to take with a held claim.
pub(in crate::sql) struct ClaimUpdate {
    pub(in crate::sql) step: ClaimStep,
    pub(in crate::sql) held: HeldClaim,
}

type UpdateFollower = Follower<ClaimUpdate, bool>;

impl<D: Dialect> BatchRequest<Session<D>> for ClaimUpdate {
    type Answer = bool;

    /// Different claims of one event do not fit into one statement. A completion or release whose caller is
    /// gone is sent all the same, so that its lease does not stay. A renewal is not, because no body works
    /// under the new lease.
    async fn send_batch(
        session: &mut Session<D>,
        _: &Arc<Group<Self, bool>>,
        mut batch: Vec<UpdateFollower>,
    ) -> Vec<UpdateFollower> {
        batch.retain(|follower| follower.request.step != ClaimStep::Renew || !follower.is_gone());
        let Some(step) = batch.first().map(|follower| follower.request.step) else { return batch };
        let mut events: BTreeMap<Arc<str>, Vec<UpdateFollower>> = BTreeMap::new();
        let mut left = Vec::new();
        for follower in batch {
            let followers = events.entry(Arc::clone(&follower.request.held.id)).or_default();
            match followers.first() {
                Some(first) if first.request.held != follower.request.held => left.push(follower),
                _ => followers.push(follower),
            }
        }
        let held: Vec<HeldClaim> = events
            .values()
            .filter_map(|followers| followers.first())
            .map(|first| first.request.held.clone())
            .collect();
        match session.send(&UpdateClaims { step, held: &held.iter().collect::<Vec<_>>() }).await {
            Ok(are_changed) => {
                for (followers, is_changed) in events.into_values().zip(are_changed) {
                    for follower in followers {
                        follower.tell(BatchAnswer::Answer(is_changed));
                    }
                }
            }
            Err(failed) => tell_all(events.into_values().flatten(), failed),
        }
        left
    }
}
