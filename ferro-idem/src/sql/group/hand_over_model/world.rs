//! The event, its deliveries and the statements about it.

/// Which rule is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    All,
    /// The caller that has the mark is gone, and the others are answered as duplicates.
    NoHandOver,
    /// Each caller that waits for the mark is answered as first.
    FirstToAll,
    NothingIsTakenBack,
    /// A statement without an answer is an error, and its mark is not taken back.
    WhatIsGivenUpStays,
    /// The mark is taken back only once, while the statement that was given up may still arrive.
    TakenBackOnce,
    /// A mark is taken back by its event, not by its owner.
    TakenBackByEvent,
    /// A statement whose reply was lost is sent again with other owners.
    NewOwnerAgain,
    /// A delivery goes on although its event's mark is to be taken back.
    NothingIsTakenOver,
    /// A delivery takes a mark over while the statement that deletes it is at the database.
    TakenOverWhileSent,
    /// A delivery takes a mark over that a statement without an answer may still delete.
    TakenOverInDoubt,
    /// A request that got no answer, and then that it is a duplicate, is forgotten.
    DuplicatesEndDoubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Unsent,
    Queued,
    InStatement,
    /// The answer is in its channel.
    Told {
        is_first: bool,
    },
    Runs,
    Duplicate,
    /// Told that there is no answer.
    Failed,
    Gone,
    /// Gone while its request is in the statement.
    GoneInStatement,
}

pub(super) type Owner = usize;

/// A mark in the queue of those that are to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Left {
    pub(super) owner: Owner,
    pub(super) is_sent: bool,
    pub(super) may_be_deleted_later: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) row: Option<Owner>,
    pub(super) callers: Vec<Caller>,
    /// With which owner, and whether it may have been carried out.
    pub(super) statement: Option<(Owner, bool)>,
    /// The statement's reply.
    pub(super) is_first: Option<bool>,
    pub(super) taking_back: Vec<Left>,
    /// Given up, and carried out later or never.
    pub(super) late: Vec<Owner>,
    pub(super) late_unmarks: Vec<Owner>,
    pub(super) had_to_be_first: bool,
    pub(super) errors: usize,
    /// How many errors there were when each delivery arrived.
    pub(super) errors_before: Vec<usize>,
}

/// What becomes of the statement that deletes a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmarked {
    Answered,
    NotCarriedOut,
    ReplyIsLost,
    /// It got no answer, and is carried out later or never.
    Late,
}

/// What a delivery does about marks that are to be taken back.
pub(super) enum Next {
    GoOn,
    TakeOver,
    Wait,
}

impl World {
    pub(super) fn take_back(&mut self, rules: Rules, owner: Owner) {
        if rules != Rules::NothingIsTakenBack {
            self.taking_back.push(Left { owner, is_sent: false, may_be_deleted_later: false });
            self.taking_back.sort_unstable();
        }
    }

    /// The mark of a caller that is gone goes to the next delivery that queues, or is taken back.
    pub(super) fn hand_on(&mut self, rules: Rules, owner: Owner) {
        match self.callers.iter_mut().find(|caller| **caller == Caller::Queued) {
            Some(next) if rules != Rules::NoHandOver => {
                *next = Caller::Told { is_first: true };
            }
            _ => self.take_back(rules, owner),
        }
    }

    pub(super) fn next(&self, rules: Rules) -> Next {
        match self.taking_back.as_slice() {
            _ if rules == Rules::NothingIsTakenOver => Next::GoOn,
            [] => Next::GoOn,
            [left] if left.is_sent && rules != Rules::TakenOverWhileSent => Next::Wait,
            [left] if left.may_be_deleted_later && rules != Rules::TakenOverInDoubt => Next::Wait,
            [_] => Next::TakeOver,
            _ => Next::Wait,
        }
    }

    pub(super) fn take_over(&mut self) -> Option<Owner> {
        let left = self.taking_back.pop()?;
        if left.is_sent {
            self.late_unmarks = vec![left.owner];
        }
        Some(left.owner)
    }

    pub(super) fn tell(&mut self, rules: Rules) -> Option<()> {
        let (owner, may_have_been_carried_out) = self.statement?;
        let is_first = self.is_first?;
        let mut undelivered = is_first;
        for (i, caller) in self.callers.iter_mut().enumerate() {
            match caller {
                Caller::InStatement => {
                    let is_its_own = rules != Rules::NoHandOver || i == owner;
                    let is_first = undelivered && is_its_own;
                    self.had_to_be_first |= undelivered && !is_first;
                    *caller = Caller::Told { is_first };
                    undelivered &= !is_first || rules == Rules::FirstToAll;
                }
                Caller::GoneInStatement => *caller = Caller::Gone,
                _ => {}
            }
        }
        if undelivered {
            self.hand_on(rules, owner);
        }
        // An earlier attempt may be carried out as soon as the other mark is gone.
        if !is_first && may_have_been_carried_out && rules != Rules::DuplicatesEndDoubt {
            self.take_back(rules, owner);
        }
        (self.statement, self.is_first) = (None, None);
        Some(())
    }

    pub(super) fn unmark(&mut self, rules: Rules, unmarked: Unmarked) -> Option<()> {
        let index = self.taking_back.iter().position(|left| left.is_sent)?;
        let mut left = self.taking_back.remove(index);
        let is_carried_out = matches!(unmarked, Unmarked::Answered | Unmarked::ReplyIsLost);
        if is_carried_out && (self.row == Some(left.owner) || rules == Rules::TakenBackByEvent) {
            self.row = None;
        }
        // Repeated for longer than a statement is late.
        let is_last = !self.late.contains(&left.owner) || rules == Rules::TakenBackOnce;
        if unmarked != Unmarked::Answered || !is_last {
            left.is_sent = false;
            left.may_be_deleted_later |= matches!(unmarked, Unmarked::ReplyIsLost | Unmarked::Late);
            self.taking_back.push(left);
            self.taking_back.sort_unstable();
        }
        if unmarked == Unmarked::Late {
            // Once is enough to show what it does.
            self.late_unmarks = vec![left.owner];
        }
        Some(())
    }

    pub(super) fn is_quiet(&self) -> bool {
        let waits = |caller: &Caller| {
            matches!(
                caller,
                Caller::Queued | Caller::InStatement | Caller::Told { .. } | Caller::GoneInStatement
            )
        };
        self.taking_back.is_empty()
            && self.late.is_empty()
            && self.late_unmarks.is_empty()
            && !self.callers.iter().any(waits)
    }

    pub(super) fn runs(&self) -> usize {
        self.callers.iter().filter(|&&caller| caller == Caller::Runs).count()
    }

    /// A delivery that came after the last error is a duplicate, although no delivery runs and no caller is gone.
    pub(super) fn has_lost_after_an_error(&self) -> bool {
        let is_lost = |(caller, &errors): (&Caller, &usize)| {
            *caller == Caller::Duplicate && errors > 0 && errors == self.errors
        };
        self.runs() == 0
            && !self.callers.contains(&Caller::Gone)
            && self.callers.iter().zip(&self.errors_before).any(is_lost)
    }
}
