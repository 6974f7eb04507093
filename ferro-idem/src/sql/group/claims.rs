//! Claims that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Group, Sharing, Told, Waiter, tell_all};
use crate::claim::ClaimOutcome;
use crate::sql::SqlLog;
use crate::sql::ask::{Looks, NewClaims};
use crate::sql::dialect::{Dialect, NewClaim};

type Waiting = Waiter<NewClaim, ClaimOutcome>;

impl<D: Dialect> Sharing<SqlLog<D>> for NewClaim {
    type Answer = ClaimOutcome;

    fn group<'g>(&self, log: &'g SqlLog<D>) -> &'g Arc<Group<Self, ClaimOutcome>> {
        &log.table.groups.claims
    }

    /// Of several claims of one event the first goes into the statement. How the event stands is asked for
    /// all who did not get it, in a second statement: one with the claim would not see what the claim met.
    async fn carry_out(log: &SqlLog<D>, batch: Vec<Waiting>) -> Vec<Waiting> {
        let mut events: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
        for waiter in batch.into_iter().filter(|waiter| !waiter.is_gone()) {
            events.entry(waiter.request.mark.id.clone()).or_default().push(waiter);
        }
        let claims: Vec<NewClaim> = events
            .values()
            .filter_map(|waiters| waiters.first())
            .map(|first| first.request.clone())
            .collect();
        let fences = match log.ask_for(&NewClaims(&claims.iter().collect::<Vec<_>>())).await {
            Ok(fences) => fences,
            Err(unanswered) => {
                tell_all(events.into_values().flatten(), &unanswered);
                return Vec::new();
            }
        };
        let mut others: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
        for (((id, waiters), claim), fence) in events.into_iter().zip(&claims).zip(fences) {
            for waiter in waiters {
                match fence {
                    Some(fence) if waiter.request.mark.owner == claim.mark.owner => {
                        waiter.tell(Told::Answer(ClaimOutcome::Acquired { fence }));
                    }
                    _ => others.entry(id.clone()).or_default().push(waiter),
                }
            }
        }
        tell_standing(log, others).await
    }
}

/// Returns those whose event was freed meanwhile: they can claim it now.
async fn tell_standing<D: Dialect>(log: &SqlLog<D>, others: BTreeMap<String, Vec<Waiting>>) -> Vec<Waiting> {
    let ids: Vec<&str> = others.keys().map(String::as_str).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let standings = match log.ask_for(&Looks(&ids)).await {
        Ok(standings) => standings,
        Err(unanswered) => {
            tell_all(others.into_values().flatten(), &unanswered);
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
