//! What becomes of an event after a run of the handler.

use std::time::Duration;

use super::settings::Settings;
use crate::inbox::last_error::{storable, storable_with};
use crate::inbox::reply::{Failure, Reply};
use crate::observed::Observed;

/// How the handler ended.
#[derive(Debug)]
pub(super) enum Ended {
    Processed,
    Failed(Failure),
    /// The worker stops, and the handler was still running.
    Stopped,
}

impl Ended {
    pub(super) fn of<R: Reply>(reply: &R) -> Self {
        if reply.is_processed() { Self::Processed } else { Self::Failed(reply.failure()) }
    }
}

/// What becomes of the event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Complete,
    /// No attempt of this inbox has run the body, and the handler's plain fence says that it ran before.
    CompleteAsSeen,
    BackOff {
        after: Duration,
        error: String,
    },
    Park {
        error: String,
    },
    /// The attempt does not count.
    Release,
}

impl Verdict {
    /// In how long the event is due again, if it stays in the inbox.
    pub(super) fn due_in(&self) -> Option<Duration> {
        match self {
            Self::BackOff { after, .. } => Some(*after),
            Self::Complete | Self::CompleteAsSeen | Self::Park { .. } | Self::Release => None,
        }
    }
}

const SEEN_BEFORE: &str = "the handler's plain fence (`#[idempotent_webhook]` without `claim` or `transaction`) \
                           answered a duplicate, and an earlier attempt did not end with a success: the event was seen, \
                           which is no proof that it is processed";

const FINAL: &str = "final under the handler's plain fence (`#[idempotent_webhook]` without `claim` or `transaction`), \
                     which never runs a body twice";

/// Decides. `attempt` counts from 1, and `token` is 1 if the event was never taken before.
pub(super) fn verdict(
    ended: Ended,
    observed: &Observed,
    attempt: u32,
    token: u64,
    settings: &Settings,
) -> Verdict {
    // The fence answers a duplicate for an event whose body has failed before, in an attempt of ours.
    let is_unproven = observed.fence_duplicate() && token > 1;
    let failure = match ended {
        Ended::Processed | Ended::Stopped if is_unproven => {
            return Verdict::Park { error: SEEN_BEFORE.to_owned() };
        }
        Ended::Processed if observed.fence_duplicate() => return Verdict::CompleteAsSeen,
        Ended::Processed => return Verdict::Complete,
        Ended::Stopped if observed.fence_ran() => {
            Failure::new("the worker was stopped while the handler ran")
        }
        Ended::Stopped => return Verdict::Release,
        Ended::Failed(failure) => failure,
    };
    if observed.fence_ran() {
        return Verdict::Park { error: storable_with(failure.error(), FINAL) };
    }
    if is_unproven {
        return Verdict::Park { error: storable_with(failure.error(), SEEN_BEFORE) };
    }
    let error = storable(failure.error());
    if attempt >= settings.max_attempts {
        return Verdict::Park { error };
    }
    let after = match failure.retry_after().or_else(|| observed.retry_after()) {
        Some(retry_after) => settings.backoff.pause_of_reply(retry_after),
        None => settings.backoff.pause(attempt),
    };
    Verdict::BackOff { after, error }
}
