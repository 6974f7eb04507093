//! What a worker learns of how its handler claims, so that it can claim the next events together: see
//! [`ClaimAhead`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::claim::{ClaimAhead, ClaimPattern};
use crate::inbox::delivery::Taken;

/// So many runs in a row have to claim in the same way before the next events are claimed ahead. A handler that leaves
/// some events alone would otherwise cause a claim and its withdrawal for each of them.
const RUNS_TO_LEARN: u32 = 8;

/// An event that was taken, and the claim that was made for its handler.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) taken: Taken,
    pub(super) claim: Option<ClaimAhead>,
}

/// How the handler of a worker has claimed last.
#[derive(Debug, Default)]
pub(super) struct Learned(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    pattern: Option<ClaimPattern>,
    /// So many runs in a row have claimed like that.
    runs: u32,
}

impl Learned {
    /// A run of the handler has ended.
    pub(super) fn run_ended(&self, pattern: Option<ClaimPattern>) {
        // A panic cannot leave it half-changed.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.pattern == pattern {
            seen.runs = seen.runs.saturating_add(1);
        } else {
            *seen = Seen { pattern, runs: 1 };
        }
    }

    /// Claims the event for its handler, if it is known how that claims.
    ///
    /// A crash leaves such a claim until its lease ends. That must not delay an event for which no body has run for
    /// longer than the worker's own lease does.
    pub(super) fn prepare(&self, taken: Taken, lease: Duration) -> Prepared {
        let pattern = {
            let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_known = seen.runs >= RUNS_TO_LEARN;
            seen.pattern.clone().filter(|pattern| is_known && pattern.length() <= lease)
        };
        let claim = pattern.and_then(|pattern| pattern.claim(&taken.held.event_id, &taken.event_type));
        Prepared { taken, claim }
    }
}
