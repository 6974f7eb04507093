//! The store of the model: the steps that the memory log runs, with all rules or with one rule left out.

use super::super::row::{Row, State, Time};
use super::super::{ClaimOutcome, Ownership};
use crate::owner::Owner;

/// Time does not pass in the model. A lease has ended if it ends now.
const LEASE: Time = Time::from_secs(1);
const NOW: Time = Time::ZERO;

/// The rule that is left out. Each variant is a defect that a log can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    All,
    ReleaseDeletesTheRow,
    ReleaseTakesProcessed,
    TokenAloneIsProof,
    OwnerAloneIsProof,
    TakeoverKeepsTheToken,
    RetryHasANewOwner,
    PurgeTakesLiveClaims,
    CompleteTakesReleased,
    LeaseIsOnTheWorkersClock,
}

/// The event's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store(pub(super) Option<Row>);

impl Store {
    pub(super) fn claim(&mut self, rules: Rules, owner: Owner) -> ClaimOutcome {
        let before = self.0;
        let (mut row, mut outcome) = Row::claim(before, owner, NOW, LEASE);
        if let (Rules::TakeoverKeepsTheToken, Some(before), ClaimOutcome::Acquired { token }) =
            (rules, before, &mut outcome)
        {
            (*token, row.held.token) = (before.held.token, before.held.token);
        }
        self.0 = Some(row);
        outcome
    }

    /// Reads the state in a separate statement, as the SQL logs do after a claim that did not get the event.
    /// `None` if the event can be claimed.
    pub(super) fn look(&self) -> Option<ClaimOutcome> {
        match self.0?.state {
            State::Processed => Some(ClaimOutcome::Processed),
            State::Claimed { lease_until } if lease_until > NOW => {
                Some(ClaimOutcome::InProgress { retry_after: lease_until })
            }
            State::Claimed { .. } | State::Released => None,
        }
    }

    pub(super) fn renew(&mut self, rules: Rules, held: Ownership) -> bool {
        self.step(rules, held, |row, held| row.renew(held, NOW, LEASE))
    }

    pub(super) fn complete(&mut self, rules: Rules, held: Ownership) -> bool {
        self.step(rules, held, |row, held| {
            if rules == Rules::CompleteTakesReleased && row.state == State::Released {
                row.state = State::Claimed { lease_until: NOW };
            }
            row.complete(held)
        })
    }

    pub(super) fn release(&mut self, rules: Rules, held: Ownership) -> bool {
        let released = self.step(rules, held, |row, held| {
            if rules == Rules::ReleaseTakesProcessed && row.state == State::Processed {
                row.state = State::Claimed { lease_until: NOW };
            }
            row.release(held)
        });
        if released && rules == Rules::ReleaseDeletesTheRow {
            self.0 = None;
        }
        released
    }

    pub(super) fn withdraw(&mut self, rules: Rules, held: Ownership) -> bool {
        self.step(rules, held, Row::withdraw)
    }

    fn step(
        &mut self,
        rules: Rules,
        mut held: Ownership,
        step: impl FnOnce(&mut Row, Ownership) -> bool,
    ) -> bool {
        let Some(row) = &mut self.0 else { return false };
        match rules {
            Rules::TokenAloneIsProof => held.owner = row.held.owner,
            Rules::OwnerAloneIsProof => held.token = row.held.token,
            _ => {}
        }
        let before = *row;
        let stepped = step(row, held);
        if !stepped {
            *row = before;
        }
        stepped
    }

    pub(super) fn is_live(&self) -> bool {
        self.0.is_some_and(|row| matches!(row.state, State::Claimed { lease_until } if lease_until > NOW))
    }

    pub(super) fn is_processed(&self) -> bool {
        self.0.is_some_and(|row| row.state == State::Processed)
    }

    /// Ends the lease.
    pub(super) fn expire(&mut self) {
        if self.is_live()
            && let Some(row) = &mut self.0
        {
            row.state = State::Claimed { lease_until: NOW };
        }
    }

    pub(super) fn may_be_purged(&self, rules: Rules) -> bool {
        self.0.is_some() && (rules == Rules::PurgeTakesLiveClaims || !self.is_live())
    }
}
