//! Marks and claims from the moment they are requested until their caller has the answer.

use super::script::Answer;
use super::undelivered::{HELD_BEFORE, TakeBack};
use super::{Connection, RedisLog};

/// A mark or a claim that may exist, and of which no caller knows. Dropping it takes the mark or claim back.
pub(super) struct InDoubt<C: Connection> {
    log: RedisLog<C>,
    take_back: Option<TakeBack>,
}

impl<C: Connection> InDoubt<C> {
    /// `take_back` is `None` for requests that never need to be taken back.
    pub(super) fn new(log: &RedisLog<C>, take_back: Option<TakeBack>) -> Self {
        Self { log: log.clone(), take_back }
    }

    /// Records that an attempt is sent which the server may execute until `deadline`; 0 if it never executes it.
    pub(super) fn send_until(&mut self, deadline: u64) {
        if let Some(take_back) = &mut self.take_back {
            take_back.deadline = take_back.deadline.max(deadline);
        }
    }

    /// Records that the call failed and was not executed.
    pub(super) fn is_not_made(&mut self) {
        self.take_back = None;
    }

    /// Records an answer. `now` is the time on the server's clock.
    pub(super) fn answer(mut self, answer: Answer, now: u64, copies: Copies) -> UndeliveredAnswer<C> {
        let is_made = self.take_back.as_ref().is_some_and(|take_back| take_back.made.is_made(answer.0));
        match (&mut self.take_back, copies) {
            // Another call with the same owner made it, and its caller knows of it.
            (take_back, Copies::One) if answer.0 == HELD_BEFORE => *take_back = None,
            (Some(take_back), Copies::One) if is_made => take_back.is_known_to_be_made(now),
            (take_back, Copies::One | Copies::MaybeMore) if !is_made => *take_back = None,
            // The server may execute another copy after this answer, and then make what this copy did not.
            _ => {}
        }
        UndeliveredAnswer { answer, is_made, in_doubt: self }
    }
}

impl<C: Connection> Drop for InDoubt<C> {
    fn drop(&mut self) {
        // With a deadline of 0, nothing was sent that the server could execute.
        if let Some(take_back) = self.take_back.take().filter(|made| made.deadline > 0) {
            self.log.shared.undelivered.take_back(&self.log, take_back);
        }
    }
}

/// How many copies of a request the server may have received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copies {
    One,
    /// The answer took so long that the client may have resent the request by itself.
    MaybeMore,
    /// An earlier attempt had no answer.
    More,
}

/// The answer to a mark or a claim, before its caller has it. Dropping it takes back what was made.
pub(super) struct UndeliveredAnswer<C: Connection> {
    answer: Answer,
    /// Whether the answer says that the mark or claim was made.
    is_made: bool,
    in_doubt: InDoubt<C>,
}

impl<C: Connection> UndeliveredAnswer<C> {
    /// Returns what was made, if anything. The caller becomes responsible for taking it back.
    pub(super) fn into_made(mut self) -> Option<TakeBack> {
        if self.is_made { self.in_doubt.take_back.take() } else { None }
    }

    /// Hands the answer to the caller.
    pub(super) fn deliver(mut self) -> Answer {
        // A caller that is told "duplicate" has no mark, so a mark that an earlier attempt still makes is taken back.
        if self.is_made {
            self.in_doubt.take_back = None;
        }
        self.answer
    }
}
