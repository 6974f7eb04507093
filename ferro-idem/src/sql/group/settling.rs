//! Renewals, completions and releases that share a statement, each kind its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Group, Sharing, Told, Waiter, tell_all};
use crate::sql::dialect::{Dialect, Held, Step};
use crate::sql::request::Settling;
use crate::sql::session::Session;

/// What is done to an event that is held.
pub(in crate::sql) struct Settlement {
    pub(in crate::sql) step: Step,
    pub(in crate::sql) held: Held,
}

type Waiting = Waiter<Settlement, bool>;

impl<D: Dialect> Sharing<Session<D>> for Settlement {
    type Answer = bool;

    fn group<'g>(&self, session: &'g Session<D>) -> &'g Arc<Group<Self, bool>> {
        let groups = &session.log().table.groups;
        match self.step {
            Step::Renew => &groups.renewals,
            Step::Complete => &groups.completions,
            Step::Release => &groups.releases,
        }
    }

    /// Those who hold one event by different claims do not fit into one statement. Who ends a claim and is
    /// gone is carried out all the same, because a lease must not stay for that; who renews it and is gone is
    /// not, because nobody would be at work under the new lease.
    async fn carry_out(session: &mut Session<D>, mut batch: Vec<Waiting>) -> Vec<Waiting> {
        batch.retain(|waiter| waiter.request.step != Step::Renew || !waiter.is_gone());
        let Some(step) = batch.first().map(|waiter| waiter.request.step) else { return batch };
        let mut events: BTreeMap<Arc<str>, Vec<Waiting>> = BTreeMap::new();
        let mut left = Vec::new();
        for waiter in batch {
            let waiters = events.entry(Arc::clone(&waiter.request.held.id)).or_default();
            match waiters.first() {
                Some(first) if first.request.held != waiter.request.held => left.push(waiter),
                _ => waiters.push(waiter),
            }
        }
        let held: Vec<Held> = events
            .values()
            .filter_map(|waiters| waiters.first())
            .map(|first| first.request.held.clone())
            .collect();
        match session.ask(&Settling { step, held: &held.iter().collect::<Vec<_>>() }).await {
            Ok(are_settled) => {
                for (waiters, is_settled) in events.into_values().zip(are_settled) {
                    for waiter in waiters {
                        waiter.tell(Told::Answer(is_settled));
                    }
                }
            }
            Err(unanswered) => tell_all(events.into_values().flatten(), unanswered),
        }
        left
    }
}
