//! The decision about a delivery whose replies are kept.

use super::stored::{Side, Stored};
use super::terms::Terms;
use super::{KeptReply, ReplayLog, Unreplayable};
use crate::entry::Seen;
use crate::error::Error;
use crate::steps::{Step, step};

/// The decision of a guarantee, as [`Entry`](crate::entry::Entry).
pub enum ReplayEntry<G> {
    /// Run the body.
    Run(G),
    /// Answer with the kept reply.
    Replay(Found),
    /// The event is processed, and no reply is kept.
    Duplicate(Gone),
    /// The body must not run.
    Failed(Error),
}

/// A kept reply of the same request, and the delivery that gets it.
pub struct Found {
    seen: Seen,
    side: Side,
    reply: KeptReply,
}

/// The key whose reply is no longer kept.
pub struct Gone(String);

impl Gone {
    pub(super) fn error(self) -> Error {
        Error::ReplyGone { event_id: self.0 }
    }
}

/// Looks for the reply of a processed event.
pub(super) async fn found<G>(log: &(impl ReplayLog + ?Sized), seen: Seen, terms: Terms) -> ReplayEntry<G> {
    match step(Step::ReadReply, log.kept_reply(&seen.event_id)).await {
        Ok(kept) => answer(kept, seen, terms),
        Err(error) => failed(&seen, error),
    }
}

/// Answers with the reply of a processed event, if it is kept.
pub(super) fn answer<G>(kept: Option<Vec<u8>>, seen: Seen, terms: Terms) -> ReplayEntry<G> {
    let Some(kept) = kept else {
        seen.delivery.duplicate_without_reply(seen.frame.event);
        return ReplayEntry::Duplicate(Gone(seen.event_id));
    };
    match Stored::of_bytes(kept) {
        Ok(Stored { fingerprint, side, reply }) if terms.fit(fingerprint) => {
            ReplayEntry::Replay(Found { seen, side, reply })
        }
        Ok(_) => failed(&seen, Error::Mismatch { event_id: seen.event_id.clone() }),
        Err(Unreplayable(reason)) => {
            failed(&seen, Error::ReplyUnreadable { event_id: seen.event_id.clone(), reason })
        }
    }
}

fn failed<G>(seen: &Seen, error: Error) -> ReplayEntry<G> {
    seen.delivery.failed(&error);
    ReplayEntry::Failed(error)
}

/// Makes the kept reply again.
///
/// # Errors
///
/// [`Error::ReplyUnreadable`] if it is not of the handler's type.
pub fn replay_kept<R>(
    Found { seen, side, reply }: Found,
    make: impl FnOnce((Side, KeptReply)) -> Result<R, Unreplayable>,
) -> Result<R, Error> {
    match make((side, reply)) {
        Ok(reply) => {
            seen.delivery.duplicate(seen.frame.event);
            #[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
            super::replayed::note();
            Ok(reply)
        }
        Err(Unreplayable(reason)) => {
            let error = Error::ReplyUnreadable { event_id: seen.event_id, reason };
            seen.delivery.failed(&error);
            Err(error)
        }
    }
}

/// What becomes of an event after its body.
pub(super) enum Ended<R> {
    /// It is processed, and these bytes are kept; none of a reply that is never stored.
    Processed(R, Option<Vec<u8>>),
    /// The reply is a failure.
    Failed(R, crate::reply::failure::Failure),
    /// The reply cannot be kept.
    Unkept(Unreplayable),
}

/// Judges a reply, and encodes it if it is to be kept.
pub(super) fn ended<R>(
    reply: R,
    terms: Terms,
    is_processed: impl FnOnce(&R) -> bool,
    failure: impl FnOnce(&R) -> crate::reply::failure::Failure,
    keep: impl FnOnce(R) -> Result<(R, Side, KeptReply), Unreplayable>,
) -> Ended<R> {
    if !is_processed(&reply) {
        let failure = failure(&reply);
        return Ended::Failed(reply, failure);
    }
    match keep(reply) {
        // The application says that it is processed. It is still no reply for a retry.
        Ok((reply, _, kept)) if kept.status.is_some_and(|status| status >= 500) => {
            Ended::Processed(reply, None)
        }
        Ok((reply, side, kept)) => {
            let stored = Stored { fingerprint: terms.fingerprint, side, reply: kept };
            match stored.to_bytes() {
                Ok(bytes) => Ended::Processed(reply, Some(bytes)),
                Err(unkept) => Ended::Unkept(unkept),
            }
        }
        Err(unkept) => Ended::Unkept(unkept),
    }
}
