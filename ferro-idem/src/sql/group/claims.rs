//! Claims that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Group, Sharing, Told, Waiter, tell_all};
use crate::claim::ClaimOutcome;
use crate::sql::dialect::{Claimed, Dialect, EventState, NewClaim};
use crate::sql::request::{Looks, NewClaims};
use crate::sql::session::Session;

type Waiting = Waiter<NewClaim, ClaimOutcome>;

impl<D: Dialect> Sharing<Session<D>> for NewClaim {
    type Answer = ClaimOutcome;

    fn group<'g>(&self, session: &'g Session<D>) -> &'g Arc<Group<Self, ClaimOutcome>> {
        &session.log().table.groups.claims
    }

    /// Of several claims of one event the first goes into the statement. How the event stands is asked for
    /// all others, in a second statement: one with the claim would not see what the claim met.
    async fn carry_out(session: &mut Session<D>, batch: Vec<Waiting>) -> Vec<Waiting> {
        let mut events: BTreeMap<Arc<str>, Vec<Waiting>> = BTreeMap::new();
        for waiter in batch.into_iter().filter(|waiter| !waiter.is_gone()) {
            events.entry(Arc::clone(&waiter.request.mark.id)).or_default().push(waiter);
        }
        let claims: Vec<NewClaim> = events
            .values()
            .filter_map(|waiters| waiters.first())
            .map(|first| first.request.clone())
            .collect();
        let claimed = match session.ask(&NewClaims(&claims.iter().collect::<Vec<_>>())).await {
            Ok(claimed) => claimed,
            Err(unanswered) => {
                tell_all(events.into_values().flatten(), unanswered);
                return Vec::new();
            }
        };
        let mut others: BTreeMap<Arc<str>, Vec<Waiting>> = BTreeMap::new();
        for (((id, waiters), claim), claimed) in events.into_iter().zip(&claims).zip(claimed) {
            for waiter in waiters {
                let is_same = waiter.request.mark.owner == claim.mark.owner;
                match claimed {
                    Claimed::Acquired { token } if is_same => {
                        waiter.tell(Told::Answer(ClaimOutcome::Acquired { token }));
                    }
                    Claimed::Not(EventState::Processed) => waiter.tell(Told::Answer(ClaimOutcome::Processed)),
                    _ => others.entry(Arc::clone(&id)).or_default().push(waiter),
                }
            }
        }
        tell_standing(session, others).await
    }
}

/// Returns those whose event was freed meanwhile: they can claim it now.
async fn tell_standing<D: Dialect>(
    session: &mut Session<D>,
    others: BTreeMap<Arc<str>, Vec<Waiting>>,
) -> Vec<Waiting> {
    let ids: Vec<&str> = others.keys().map(|id| &**id).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let standings = match session.ask(&Looks(&ids)).await {
        Ok(standings) => standings,
        Err(unanswered) => {
            tell_all(others.into_values().flatten(), unanswered);
            return Vec::new();
        }
    };
    let mut left = Vec::new();
    for (waiters, standing) in others.into_values().zip(standings) {
        match standing.as_outcome() {
            Some(outcome) => waiters.into_iter().for_each(|waiter| waiter.tell(Told::Answer(outcome))),
            None => left.extend(waiters),
        }
    }
    left
}
