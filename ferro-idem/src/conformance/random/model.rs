//! A simple model of a log, written from the contract and not from an implementation.

use super::{Action, Answer, Call, EVENTS, Ending, OWNERS, Step};
use crate::claim::{ClaimOutcome, Ownership};
use crate::conformance::breach::Kept;
use crate::conformance::delivering::LONG_LEASE;
use crate::owner::Owner;
use crate::transaction::MarkOutcome;

pub(super) struct Model {
    owners: Vec<Owner>,
    events: Vec<Event>,
}

struct Event {
    state: State,
    /// The fencing token of the last claim, or 0 if there was none.
    token: u64,
    /// The last fencing token under which each owner held the event, or a forged token if it never did.
    tokens: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Claimed { by: u8 },
    Released { by: u8 },
    Processed { by: Option<u8> },
}

impl Model {
    pub(super) fn new() -> Kept<Self> {
        let owners = (0..OWNERS).map(|_| Owner::random()).collect::<Result<_, _>>()?;
        let new = || Event { state: State::New, token: 0, tokens: vec![1; usize::from(OWNERS)] };
        Ok(Self { owners, events: (0..EVENTS).map(|_| new()).collect() })
    }

    /// The step, with the arguments for the log.
    pub(super) fn call(&self, step: Step, id: String) -> Call {
        let owner = self.owner(step.owner);
        let held = self.held(step.event, step.owner);
        match step.action {
            Action::Mark { typed } => Call::Mark { id, typed },
            Action::TakeOver => match self.event(step.event).state {
                State::Claimed { by } if by != step.owner => {
                    Call::TakeOver { id, held: self.held(step.event, by), owner }
                }
                _ => Call::Claim { id, owner },
            },
            Action::Claim => Call::Claim { id, owner },
            Action::Renew => Call::Renew { id, held },
            Action::Complete => Call::Complete { id, held },
            Action::Release => Call::Release { id, held },
            Action::Transact(ending) => Call::Transact { id, ending },
        }
    }

    /// Takes the step, or returns the answer that was expected.
    pub(super) fn follow(&mut self, step: Step, answer: Answer) -> Result<(), String> {
        match step.action {
            Action::Mark { .. } => self.mark(step, answer),
            Action::Claim | Action::TakeOver => self.claim(step, answer),
            Action::Renew => self.settle(step, answer, |state, by| match state {
                State::Claimed { by: owner } if owner == by => Some(state),
                _ => None,
            }),
            Action::Complete => self.settle(step, answer, |state, by| match state {
                State::Claimed { by: owner } | State::Processed { by: Some(owner) } if owner == by => {
                    Some(State::Processed { by: Some(by) })
                }
                _ => None,
            }),
            Action::Release => self.settle(step, answer, |state, by| match state {
                State::Claimed { by: owner } | State::Released { by: owner } if owner == by => {
                    Some(State::Released { by })
                }
                _ => None,
            }),
            Action::Transact(ending) => self.transact(step, answer, ending),
        }
    }

    /// To a plain fence, any row counts as seen.
    fn mark(&mut self, step: Step, answer: Answer) -> Result<(), String> {
        let event = self.event_mut(step.event);
        expect(answer, Answer::First(event.state == State::New))?;
        if event.state == State::New {
            event.state = State::Processed { by: None };
        }
        Ok(())
    }

    fn claim(&mut self, step: Step, answer: Answer) -> Result<(), String> {
        let by = step.owner;
        let event = self.event_mut(step.event);
        let in_its_way = step.action == Action::Claim
            && matches!(event.state, State::Claimed { by: other } if other != by);
        match (event.state, answer) {
            (State::Processed { .. }, _) => expect(answer, Answer::Claimed(ClaimOutcome::Processed)),
            (_, Answer::Claimed(ClaimOutcome::InProgress { retry_after })) if in_its_way => {
                check(!retry_after.is_zero() && retry_after <= LONG_LEASE, "a time within the lease")
            }
            (_, _) if in_its_way => Err("that it is in progress".into()),
            (state, Answer::Claimed(ClaimOutcome::Acquired { token })) => {
                match state {
                    State::New => check(token == 1, "token 1")?,
                    State::Claimed { by: same } | State::Released { by: same } if same == by => {
                        check(token == event.token, "the same claim under the same fencing token")?;
                    }
                    _ => check(token > event.token, "a higher fencing token")?,
                }
                event.state = State::Claimed { by };
                event.token = token;
                if let Some(last) = event.tokens.get_mut(usize::from(by)) {
                    *last = token;
                }
                Ok(())
            }
            _ => Err("that it is acquired".into()),
        }
    }

    /// Applies `settled` to the last claim of the owner. The answer is true if it returns a next state.
    fn settle(
        &mut self,
        step: Step,
        answer: Answer,
        settled: impl Fn(State, u8) -> Option<State>,
    ) -> Result<(), String> {
        let event = self.event_mut(step.event);
        let next = settled(event.state, step.owner);
        expect(answer, Answer::Done(next.is_some()))?;
        event.state = next.unwrap_or(event.state);
        Ok(())
    }

    fn transact(&mut self, step: Step, answer: Answer, ending: Ending) -> Result<(), String> {
        let event = self.event_mut(step.event);
        match event.state {
            State::Processed { .. } => expect(answer, Answer::Marked(MarkOutcome::Processed)),
            State::Claimed { .. } => match answer {
                Answer::Marked(MarkOutcome::InProgress { retry_after }) => {
                    check(retry_after <= LONG_LEASE, "a time within the lease")
                }
                _ => Err("that it is in progress".into()),
            },
            State::New | State::Released { .. } => {
                expect(answer, Answer::Marked(MarkOutcome::First))?;
                if ending == Ending::Commit {
                    event.state = State::Processed { by: None };
                }
                Ok(())
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "steps are drawn below OWNERS and EVENTS")]
    fn owner(&self, owner: u8) -> Owner {
        self.owners[usize::from(owner)]
    }

    #[expect(clippy::indexing_slicing, reason = "steps are drawn below OWNERS and EVENTS")]
    fn event(&self, event: u8) -> &Event {
        &self.events[usize::from(event)]
    }

    #[expect(clippy::indexing_slicing, reason = "steps are drawn below OWNERS and EVENTS")]
    fn event_mut(&mut self, event: u8) -> &mut Event {
        &mut self.events[usize::from(event)]
    }

    #[expect(clippy::indexing_slicing, reason = "steps are drawn below OWNERS and EVENTS")]
    fn held(&self, event: u8, owner: u8) -> Ownership {
        Ownership { owner: self.owner(owner), token: self.event(event).tokens[usize::from(owner)] }
    }
}

fn check(holds: bool, expected: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(expected.to_owned()) }
}

fn expect(answer: Answer, expected: Answer) -> Result<(), String> {
    if answer == expected { Ok(()) } else { Err(format!("{expected:?}")) }
}
