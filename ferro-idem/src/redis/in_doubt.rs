//! Marks and claims between their request and the moment at which a caller knows of them.

use super::script::Answer;
use super::undelivered::{HELD_BEFORE, TakeBack};
use super::{Connection, RedisLog};

/// A mark or a claim that may have been made, and that no caller has heard of. If it is dropped like that, it is
/// taken back.
pub(super) struct InDoubt<C: Connection> {
    log: RedisLog<C>,
    take_back: Option<TakeBack>,
}

impl<C: Connection> InDoubt<C> {
    /// `None`: nothing is to be taken back, whatever happens.
    pub(super) fn new(log: &RedisLog<C>, take_back: Option<TakeBack>) -> Self {
        Self { log: log.clone(), take_back }
    }

    /// An attempt is sent, which the server may carry out until then. 0: it does not carry it out.
    pub(super) fn send_until(&mut self, deadline: u64) {
        if let Some(take_back) = &mut self.take_back {
            take_back.deadline = take_back.deadline.max(deadline);
        }
    }

    /// The call fails, and was not carried out.
    pub(super) fn is_not_made(&mut self) {
        self.take_back = None;
    }

    /// The answer came, when the server's clock showed `now`.
    pub(super) fn answer(mut self, answer: Answer, now: u64, copies: Copies) -> UndeliveredAnswer<C> {
        let is_made = self.take_back.as_ref().is_some_and(|take_back| take_back.made.is_made(answer.0));
        match (&mut self.take_back, copies) {
            // Another call of the same owner made it, and that call's caller has it.
            (take_back, Copies::One) if answer.0 == HELD_BEFORE => *take_back = None,
            (Some(take_back), Copies::One) if is_made => take_back.is_known_to_be_made(now),
            (take_back, Copies::One | Copies::MaybeMore) if !is_made => *take_back = None,
            // Another copy may be carried out after this answer, and make what this one did not.
            _ => {}
        }
        UndeliveredAnswer { answer, is_made, in_doubt: self }
    }
}

impl<C: Connection> Drop for InDoubt<C> {
    fn drop(&mut self) {
        // Before that, nothing was sent that the server carries out.
        if let Some(take_back) = self.take_back.take().filter(|made| made.deadline > 0) {
            self.log.shared.undelivered.take_back(&self.log, take_back);
        }
    }
}

/// How many copies of a request the server may have got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copies {
    One,
    /// The answer took so long that the client may have sent it again by itself.
    MaybeMore,
    /// An earlier attempt had no answer.
    More,
}

/// The answer to a mark or a claim that its caller does not have yet. If it is dropped like that, what was made is
/// taken back.
pub(super) struct UndeliveredAnswer<C: Connection> {
    answer: Answer,
    /// Whether the caller now has what may have been made.
    is_made: bool,
    in_doubt: InDoubt<C>,
}

impl<C: Connection> UndeliveredAnswer<C> {
    /// What was made, if anything was. It is the caller's to take back.
    pub(super) fn into_made(mut self) -> Option<TakeBack> {
        if self.is_made { self.in_doubt.take_back.take() } else { None }
    }

    /// The caller has the answer now.
    pub(super) fn deliver(mut self) -> Answer {
        // A caller that is told "duplicate" knows of no mark: one that an earlier attempt still makes is taken back.
        if self.is_made {
            self.in_doubt.take_back = None;
        }
        self.answer
    }
}
