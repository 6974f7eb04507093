//! What a worker does with a delivery that it holds.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::Held;

/// The longest text of an error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 1000;

/// A century. Adding it to the time cannot overflow.
const MAX_MILLIS: i64 = 3_155_760_000_000;

/// What is done to a delivery that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Renew,
    Complete,
    BackOff,
    Park,
    Release,
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
        }
    }

    /// The state of a delivery after the step. `None`: it is gone.
    pub(super) fn state_after(self) -> Option<i64> {
        match self {
            Self::Renew => Some(1),
            Self::Complete => None,
            Self::BackOff | Self::Release => Some(0),
            Self::Park => Some(2),
        }
    }

    /// Whether the next delivery of its order key may run after it.
    pub(super) fn frees_the_next(self, is_strict: bool) -> bool {
        self == Self::Complete || self == Self::Park && !is_strict
    }
}

/// A step, and the delivery that it is for. Cheap to clone.
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
}
