//! The steps of a claim on an event's row. They are pure functions of the row and the time, so that the model
//! can check them exhaustively.

use std::time::Duration;

use super::{ClaimOutcome, Ownership};
use crate::owner::Owner;

/// Time on the store's clock, counted from any fixed moment.
pub(crate) type Time = Duration;

/// An event that was claimed at least once.
///
/// Invariants: the fencing token never falls, and it grows with each takeover. An event that is processed
/// stays processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) held: Ownership,
    pub(crate) state: State,
}

/// The owner of a row whose claim was taken back. No call has this owner.
const NOBODY: Owner = Owner::from_bytes([0xff; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Claimed { lease_until: Time },
    Released,
    Processed,
}

impl Row {
    /// The row of an event that an operator forgot, whose last claim had this token.
    #[cfg(feature = "memory")]
    pub(crate) fn forgotten(token: u64) -> Self {
        Self { held: Ownership { owner: NOBODY, token }, state: State::Released }
    }

    /// The row after a claim by `owner`, and the answer.
    pub(crate) fn claim(
        before: Option<Self>,
        owner: Owner,
        now: Time,
        lease: Duration,
    ) -> (Self, ClaimOutcome) {
        let token = match before {
            None => 1,
            Some(row) => match row.state {
                State::Processed => return (row, ClaimOutcome::Processed),
                State::Claimed { lease_until } if lease_until > now && row.held.owner != owner => {
                    return (row, ClaimOutcome::InProgress { retry_after: lease_until.saturating_sub(now) });
                }
                _ if row.held.owner == owner => row.held.token,
                _ => row.held.token.saturating_add(1),
            },
        };
        let state = State::Claimed { lease_until: now.saturating_add(lease) };
        (Self { held: Ownership { owner, token }, state }, ClaimOutcome::Acquired { token })
    }

    pub(crate) fn renew(&mut self, held: Ownership, now: Time, lease: Duration) -> bool {
        let renews = self.held == held && matches!(self.state, State::Claimed { .. });
        if renews {
            self.state = State::Claimed { lease_until: now.saturating_add(lease) };
        }
        renews
    }

    pub(crate) fn complete(&mut self, held: Ownership) -> bool {
        let completes = self.held == held && self.state != State::Released;
        if completes {
            self.state = State::Processed;
        }
        completes
    }

    /// Takes back a claim under which no body has run. The next claim gets the same token, because no body
    /// has seen it.
    pub(crate) fn withdraw(&mut self, held: Ownership) -> bool {
        let withdraws = self.held == held && matches!(self.state, State::Claimed { .. });
        if withdraws {
            let token = held.token.saturating_sub(1);
            *self = Self { held: Ownership { owner: NOBODY, token }, state: State::Released };
        }
        withdraws
    }

    pub(crate) fn release(&mut self, held: Ownership) -> bool {
        let releases = self.held == held && self.state != State::Processed;
        if releases {
            self.state = State::Released;
        }
        releases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);
    const A: Owner = Owner::from_bytes([1; 16]);
    const B: Owner = Owner::from_bytes([2; 16]);

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    fn claimed_by_a() -> Row {
        let (row, outcome) = Row::claim(None, A, at(0), LEASE);
        assert_eq!(outcome, ClaimOutcome::Acquired { token: 1 });
        row
    }

    const OF_A: Ownership = Ownership { owner: A, token: 1 };
    const OF_B: Ownership = Ownership { owner: B, token: 2 };

    #[test]
    fn a_live_claim_is_in_progress_for_the_time_that_it_has_left() {
        let (row, outcome) = Row::claim(Some(claimed_by_a()), B, at(7), LEASE);
        assert_eq!(outcome, ClaimOutcome::InProgress { retry_after: Duration::from_secs(3) });
        assert_eq!(row, claimed_by_a());
    }

    #[test]
    fn the_same_owner_again_is_the_same_claim() {
        for now in [5, 50] {
            let (_, outcome) = Row::claim(Some(claimed_by_a()), A, at(now), LEASE);
            assert_eq!(outcome, ClaimOutcome::Acquired { token: 1 });
        }
    }

    #[test]
    fn a_takeover_has_a_higher_token_and_ends_the_old_claim() {
        let (mut row, outcome) = Row::claim(Some(claimed_by_a()), B, at(10), LEASE);
        assert_eq!(outcome, ClaimOutcome::Acquired { token: 2 });
        let before = row;
        assert!(!row.renew(OF_A, at(11), LEASE) && !row.complete(OF_A) && !row.release(OF_A));
        assert_eq!(row, before);
        assert!(row.complete(OF_B));
    }

    #[test]
    fn after_its_lease_a_claim_can_be_renewed_until_a_takeover() {
        let mut row = claimed_by_a();
        assert!(row.renew(OF_A, at(20), LEASE));
        assert!(row.complete(OF_A));
    }

    #[test]
    fn what_is_released_is_claimed_at_once_under_a_higher_fence() {
        let mut row = claimed_by_a();
        assert!(row.release(OF_A));
        assert!(row.release(OF_A), "a repeated release of the same claim is no failure");
        assert!(!row.complete(OF_A) && !row.renew(OF_A, at(1), LEASE));
        let (mut row, outcome) = Row::claim(Some(row), B, at(1), LEASE);
        assert_eq!(outcome, ClaimOutcome::Acquired { token: 2 });
        assert!(!row.release(OF_A), "what it released is another's now");
        assert!(row.renew(OF_B, at(2), LEASE));
    }

    #[test]
    fn a_withdrawn_claim_leaves_its_token_to_the_next_claim() {
        let mut row = claimed_by_a();
        assert!(row.withdraw(OF_A));
        assert!(!row.withdraw(OF_A) && !row.renew(OF_A, at(1), LEASE));
        assert!(!row.complete(OF_A) && !row.release(OF_A));
        let (mut row, outcome) = Row::claim(Some(row), B, at(1), LEASE);
        assert_eq!(outcome, ClaimOutcome::Acquired { token: 1 });
        assert!(!row.complete(OF_A) && !row.withdraw(OF_A), "the token is the same, the owner is not");
        assert!(row.complete(Ownership { owner: B, token: 1 }));
    }

    #[test]
    fn what_is_processed_stays_processed() {
        let mut row = claimed_by_a();
        assert!(row.complete(OF_A));
        assert!(row.complete(OF_A), "a repeated complete of the same claim is no failure");
        assert!(!row.release(OF_A) && !row.renew(OF_A, at(1), LEASE));
        for owner in [A, B] {
            assert_eq!(Row::claim(Some(row), owner, at(99), LEASE).1, ClaimOutcome::Processed);
        }
    }
}
