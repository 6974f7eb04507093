//! What a worker does with a delivery that it holds.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::Held;
use crate::owner::Owner;

/// The longest text of an error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 1000;

/// A century. Adding it to the time cannot overflow.
const MAX_MILLIS: i64 = 3_155_760_000_000;

/// What a worker does to a delivery that it holds, or an operator to one that is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Renew,
    Complete,
    BackOff,
    Park,
    Release,
    /// A parked delivery waits again, with all of its attempts.
    Replay,
    /// A parked delivery is deleted. Its event's key stays.
    Discard,
}

impl Step {
    /// For error messages, to be read after "could not".
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Renew => "renew the lease of a delivery",
            Self::Complete => "complete a delivery",
            Self::BackOff => "put a delivery off",
            Self::Park => "park a delivery",
            Self::Release => "release a delivery",
            Self::Replay => "replay a delivery",
            Self::Discard => "discard a delivery",
        }
    }

    /// The state that a delivery has to be in: held, or parked.
    #[cfg(any(feature = "mysql", feature = "postgres", test))]
    pub(super) fn state_before(self) -> i64 {
        match self {
            Self::Renew | Self::Complete | Self::BackOff | Self::Park | Self::Release => HELD,
            Self::Replay | Self::Discard => PARKED,
        }
    }

    /// Whether the delivery and its body are deleted.
    pub(super) fn deletes(self) -> bool {
        matches!(self, Self::Complete | Self::Discard)
    }

    /// Whether another delivery of its order key, or itself, may run after it.
    pub(super) fn frees_the_next(self, is_strict: bool) -> bool {
        match self {
            Self::Renew | Self::BackOff | Self::Release => false,
            Self::Complete | Self::Replay => true,
            Self::Park => !is_strict,
            Self::Discard => is_strict,
        }
    }
}

/// The state of a delivery that a worker holds.
const HELD: i64 = 1;

/// The state of a parked delivery.
pub(super) const PARKED: i64 = 2;

/// Stands for the owner of a row that was never held. Such a row is parked by hand.
const NO_OWNER: [u8; 16] = [0; 16];

/// The row of a delivery, as a step finds it.
#[derive(Clone, Debug)]
pub(super) struct FoundRow {
    pub(super) token: i64,
    pub(super) owner: Option<Vec<u8>>,
    pub(super) state: i64,
}

/// A step, and the delivery that it is for, with the proof that it is as it was seen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StepOf {
    pub(super) step: Step,
    pub(super) held: Held,
    /// The length of the lease, or of the backoff.
    pub(super) millis: i64,
    pub(super) error: Arc<str>,
}

impl StepOf {
    pub(super) fn new(step: Step, held: &Held, after: Duration, error: &str) -> Self {
        Self { step, held: held.clone(), millis: millis(after), error: kept(error).into() }
    }

    pub(super) fn token(&self) -> i64 {
        i64::try_from(self.held.ownership.token).unwrap_or(i64::MAX)
    }

    /// Whether the step may be carried out.
    #[cfg(feature = "mysql")]
    pub(super) fn applies_to(&self, row: &FoundRow) -> bool {
        self.is_proof_of(row) && row.state == self.step.state_before()
    }

    /// Whether the row is as an earlier attempt of this step has left it. `None`: it is gone.
    pub(super) fn is_done(&self, row: Option<&FoundRow>) -> bool {
        let Some(row) = row else { return self.step.deletes() };
        match self.step {
            Step::Complete | Step::Discard => false,
            Step::Renew => self.is_proof_of(row) && row.state == HELD,
            Step::BackOff | Step::Release => self.is_proof_of(row) && row.state == 0,
            Step::Park => self.is_proof_of(row) && row.state == PARKED,
            // A worker may have taken it since.
            Step::Replay => row.token > self.token() || self.is_proof_of(row) && row.state != PARKED,
        }
    }

    fn is_proof_of(&self, row: &FoundRow) -> bool {
        row.token == self.token()
            && row.owner.as_deref().unwrap_or(&NO_OWNER) == self.held.ownership.owner.as_bytes()
    }
}

/// The owner that a step for an operator compares.
pub(super) fn owner_or_none(owner: Option<Owner>) -> Owner {
    owner.unwrap_or(Owner::from_bytes(NO_OWNER))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(MAX_MILLIS)
}

/// An error's text as it is kept: no database takes NUL.
fn kept(error: &str) -> String {
    let cut = error.get(..error.floor_char_boundary(MAX_ERROR_BYTES)).unwrap_or_default();
    cut.replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_error_is_cut_between_characters() {
        assert_eq!(kept("a\0b"), "a b");
        let long = "é".repeat(MAX_ERROR_BYTES);
        assert_eq!(kept(&long).chars().count(), MAX_ERROR_BYTES / 2);
        assert_eq!(kept(&format!("x{long}")).len(), MAX_ERROR_BYTES - 1);
    }

    #[test]
    fn a_backoff_of_any_length_can_be_added_to_the_time() {
        assert_eq!(millis(Duration::MAX), MAX_MILLIS);
        assert_eq!(millis(Duration::from_micros(1500)), 1);
    }

    /// A step for an event with token 3, and a row.
    fn is_done(step: Step, row: Option<(i64, [u8; 16], i64)>) -> bool {
        let owner = Owner::from_bytes([7; 16]);
        let held = Held {
            seq: 1,
            event_id: "github:evt_1".into(),
            ownership: crate::claim::Ownership { owner, token: 3 },
        };
        let row = row.map(|(token, owner, state)| FoundRow { token, owner: Some(owner.to_vec()), state });
        StepOf::new(step, &held, Duration::ZERO, "").is_done(row.as_ref())
    }

    #[test]
    fn a_repeated_step_knows_what_its_first_attempt_did() {
        let ours = [7; 16];
        for (step, after) in [
            (Step::Renew, 1),
            (Step::BackOff, 0),
            (Step::Park, 2),
            (Step::Release, 0),
            (Step::Replay, 0),
            (Step::Replay, 3),
        ] {
            assert!(is_done(step, Some((3, ours, after))), "{step:?}");
            assert!(!is_done(step, Some((3, [8; 16], after))), "{step:?} of another owner");
            assert!(!is_done(step, Some((2, ours, after))), "{step:?} of a lower token");
            assert!(!is_done(step, None), "{step:?}");
        }
        for step in [Step::Complete, Step::Discard] {
            assert!(is_done(step, None));
            assert!(!is_done(step, Some((3, ours, step.state_before()))));
        }
        // A worker has taken the replayed event since.
        assert!(is_done(Step::Replay, Some((4, [8; 16], 1))));
        assert!(!is_done(Step::Replay, Some((3, ours, 2))), "it is still parked");
    }
}
