//! A claim whose completion keeps the reply.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::codecs::Tag;
use super::entry::{Ended, ReplayEntry, answer, ended, found};
use super::stored::Side;
use super::terms::Terms;
use super::{ClaimOrReply, KeptReply, NewReply, ReplayLog, Unreplayable};
use crate::claim::{Claim, ClaimLog, ClaimOutcome, Claimed, Claiming, Guard, SendClaim};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::nesting::Handler;
use crate::owner::Owner;
use crate::reply::failure::Failure;
use crate::steps::{Step, step};

/// A claim, and where its reply is kept.
pub struct ReplayGuard {
    guard: Guard,
    log: Arc<dyn ReplayLog>,
    terms: Terms,
}

impl ReplayGuard {
    /// The handle that the body gets.
    pub fn claim(&self) -> Claim {
        self.guard.claim()
    }
}

/// Claims, and reads the reply of a processed event in the same request if the log can do that.
struct ClaimOrReplay<'a> {
    log: &'a dyn ReplayLog,
    reply: Answered,
}

/// The reply that came with the claim's answer.
enum Answered {
    Without,
    With(Option<Vec<u8>>),
}

impl SendClaim for ClaimOrReplay<'_> {
    async fn send(
        &mut self,
        log: &dyn ClaimLog,
        event: EventRef<'_>,
        owner: Owner,
        lease: Duration,
    ) -> Result<ClaimOutcome, Error> {
        if let Some(ClaimOrReply { outcome, reply }) = self.log.claim_or_reply(event, owner, lease).await? {
            self.reply = Answered::With(reply);
            return Ok(outcome);
        }
        self.reply = Answered::Without;
        log.claim(event, owner, lease).await
    }
}

/// Claims the event, as [`claim`](crate::claim::claim), and reads the kept reply if the event is processed.
pub fn claim_replaying<L: ClaimLog + ReplayLog + ?Sized>(
    log: &L,
    key: Result<EventRef<'_>, InvalidEventId>,
    length: Duration,
    handler: Handler,
    terms: Terms,
) -> DetachOnDrop<ReplayEntry<ReplayGuard>> {
    let claiming = Claiming::new(log, key, length, handler);
    let log = log.replay_handle();
    DetachOnDrop::new(async move {
        let mut request = ClaimOrReplay { log: &*log, reply: Answered::Without };
        match (claiming.claim(&mut request).await, request.reply) {
            (Claimed::Run(guard), _) => ReplayEntry::Run(ReplayGuard { guard, log, terms }),
            (Claimed::Processed(seen), Answered::With(reply)) => answer(reply, seen, terms),
            (Claimed::Processed(seen), Answered::Without) => found(&*log, seen, terms).await,
            (Claimed::Failed(error), _) => ReplayEntry::Failed(error),
        }
    })
}

/// Runs the body under its claim, as [`run_claimed`](crate::claim::run_claimed), and keeps the reply with the
/// completion.
///
/// # Errors
///
/// As [`run_claimed`](crate::claim::run_claimed), and [`Error::ReplyNotKept`] if the reply cannot be kept. The claim is
/// released then.
#[allow(clippy::manual_async_fn)]
pub fn run_claimed_replaying<F: Future<Output = R>, R>(
    guard: ReplayGuard,
    body: Pin<Box<F>>,
    is_processed: impl FnOnce(&R) -> bool,
    failure: impl FnOnce(&R) -> Failure,
    _: &Tag<R>,
    keep: impl FnOnce(R) -> Result<(R, Side, KeptReply), Unreplayable>,
) -> impl Future<Output = Result<R, Error>> {
    async move {
        // If this future is dropped, the body is dropped before the claim is released.
        let ReplayGuard { mut guard, log, terms } = guard;
        let mut body = body;
        let end = {
            guard.trace_first();
            let replied = guard.run(body.as_mut()).await;
            drop(body);
            let Some(reply) = replied else { return Err(guard.lost()) };
            guard.enter(|| ended(reply, terms, is_processed, failure, keep))
        };
        match end {
            Ended::Processed(reply, None) => guard.settle(None).await.map(|()| reply),
            Ended::Processed(reply, Some(stored)) => {
                let (event_id, held) = (guard.event_id().to_owned(), guard.held());
                let completion = async move {
                    let reply = NewReply { stored: &stored, keep: terms.keep };
                    step(Step::CompleteWithReply, log.complete_with_reply(&event_id, held, reply)).await
                };
                guard.settle_by(None, completion).await.map(|()| reply)
            }
            Ended::Failed(reply, failure) => guard.settle(Some(failure)).await.map(|()| reply),
            Ended::Unkept(Unreplayable(reason)) => {
                let error = Error::ReplyNotKept { event_id: guard.event_id().to_owned(), reason };
                guard.delivery().reply_not_kept();
                guard.settle(Some(Failure::new(Some(error.to_string()), None))).await?;
                Err(error)
            }
        }
    }
}
