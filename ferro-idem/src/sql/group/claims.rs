//! Claims that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BatchAnswer, BatchRequest, Follower, Group, tell_all};
use crate::claim::ClaimOutcome;
use crate::sql::dialect::Dialect;
use crate::sql::event_state::{Claimed, EventState, NewClaim};
use crate::sql::request::{ClaimEvents, LookAtEvents};
use crate::sql::session::Session;

type ClaimFollower = Follower<NewClaim, ClaimOutcome>;

impl<D: Dialect> BatchRequest<Session<D>> for NewClaim {
    type Answer = ClaimOutcome;

    /// Of several claims of one event, the first goes into the statement. The state is read for all others,
    /// in a second statement: the claim's own does not see the row that it conflicted with.
    async fn send_batch(
        session: &mut Session<D>,
        _: &Arc<Group<Self, ClaimOutcome>>,
        batch: Vec<ClaimFollower>,
    ) -> Vec<ClaimFollower> {
        let mut events: BTreeMap<Arc<str>, Vec<ClaimFollower>> = BTreeMap::new();
        for follower in batch.into_iter().filter(|follower| !follower.is_gone()) {
            events.entry(Arc::clone(&follower.request.mark.id)).or_default().push(follower);
        }
        let claims: Vec<NewClaim> = events
            .values()
            .filter_map(|followers| followers.first())
            .map(|first| first.request.clone())
            .collect();
        let claimed = match session.send(&ClaimEvents(&claims.iter().collect::<Vec<_>>())).await {
            Ok(claimed) => claimed,
            Err(failed) => {
                tell_all(events.into_values().flatten(), failed);
                return Vec::new();
            }
        };
        let mut others: BTreeMap<Arc<str>, Vec<ClaimFollower>> = BTreeMap::new();
        for (((id, followers), claim), claimed) in events.into_iter().zip(&claims).zip(claimed) {
            for follower in followers {
                let is_same = follower.request.mark.owner == claim.mark.owner;
                match claimed {
                    Claimed::Acquired { token } if is_same => {
                        follower.tell(BatchAnswer::Answer(ClaimOutcome::Acquired { token }));
                    }
                    Claimed::Not(EventState::Processed) => {
                        follower.tell(BatchAnswer::Answer(ClaimOutcome::Processed));
                    }
                    _ => others.entry(Arc::clone(&id)).or_default().push(follower),
                }
            }
        }
        tell_states(session, others).await
    }
}

/// Returns the followers whose event was freed meanwhile: they can claim it now.
async fn tell_states<D: Dialect>(
    session: &mut Session<D>,
    others: BTreeMap<Arc<str>, Vec<ClaimFollower>>,
) -> Vec<ClaimFollower> {
    let ids: Vec<&str> = others.keys().map(|id| &**id).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let states = match session.send(&LookAtEvents(&ids)).await {
        Ok(states) => states,
        Err(failed) => {
            tell_all(others.into_values().flatten(), failed);
            return Vec::new();
        }
    };
    let mut left = Vec::new();
    for (followers, state) in others.into_values().zip(states) {
        match state.as_outcome() {
            Some(outcome) => {
                for follower in followers {
                    follower.tell(BatchAnswer::Answer(outcome));
                }
            }
            None => left.extend(followers),
        }
    }
    left
}
