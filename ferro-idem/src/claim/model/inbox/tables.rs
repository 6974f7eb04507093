//! The tables of the model: the steps of an inbox, with all rules or with one rule left out.

/// The rule that is left out. Each variant is a defect that an inbox can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    All,
    NoUniqueIndex,
    /// Harmless: the unique index stops the second one.
    TakeIgnoresRunning,
    ExpiredWaitsForLower,
    NoSweep,
    BackoffFreesTheKey,
    BackoffDeletes,
    CompleteForgetsTheKey,
    PurgeTakesWaiting,
    ReceiveInTwoTransactions,
    AcknowledgesFirst,
    OwnerAloneIsProof,
    TakeoverKeepsTheToken,
    NoProof,
    CountsAtTheEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Waiting {
        is_due: bool,
    },
    Running {
        is_live: bool,
    },
    Parked,
    /// It waits for another one of its key.
    Behind,
}

/// A worker's proof that it holds an event. Each worker has one owner, which is the harder case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proof {
    pub(super) owner: usize,
    pub(super) token: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) number: u8,
    pub(super) state: State,
    pub(super) attempts: u8,
    pub(super) held: Option<Proof>,
    pub(super) token: u8,
    /// In a transaction that is not committed yet.
    pub(super) is_open: bool,
    /// The worker that has chosen the row, under a lock.
    pub(super) locked: Option<usize>,
}

/// What a worker does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Complete,
    BackOff,
    Park,
    Release,
}

/// The rows by event. Each event has a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tables {
    pub(super) seen: Vec<bool>,
    pub(super) rows: Vec<Option<Row>>,
    pub(super) keys: Vec<u8>,
    pub(super) last_number: u8,
}

impl Tables {
    /// The committed rows of the key of an event, without its own.
    fn others(&self, event: usize) -> impl Iterator<Item = (usize, Row)> {
        let of_key = move |other: &usize| *other != event && self.keys[*other] == self.keys[event];
        let rows = (0..self.rows.len()).filter(of_key);
        rows.filter_map(|other| Some((other, self.rows[other].filter(|row| !row.is_open)?)))
    }

    /// Whether an unfinished one of the key is there, as a statement sees it that begins now.
    pub(super) fn follows(&self, event: usize) -> bool {
        self.others(event).any(|(_, row)| row.state != State::Parked)
    }

    pub(super) fn insert(&mut self, event: usize, follows: bool, is_open: bool) {
        self.last_number += 1;
        let state = if follows { State::Behind } else { State::Waiting { is_due: true } };
        self.rows[event] = Some(Row {
            number: self.last_number,
            state,
            attempts: 0,
            held: None,
            token: 0,
            is_open,
            locked: None,
        });
    }

    /// Whether an earlier one of the key is unfinished.
    pub(super) fn has_earlier(&self, event: usize) -> bool {
        let number = self.rows[event].map_or(0, |row| row.number);
        self.others(event).any(|(_, row)| row.number < number && row.state != State::Parked)
    }

    /// Whether a take that begins now chooses the event.
    pub(super) fn may_choose(&self, rules: Rules, event: usize) -> bool {
        let Some(row) = self.rows[event] else { return false };
        if row.is_open || row.locked.is_some() {
            return false;
        }
        match row.state {
            State::Parked
            | State::Behind
            | State::Waiting { is_due: false }
            | State::Running { is_live: true } => false,
            State::Running { is_live: false } => {
                rules != Rules::ExpiredWaitsForLower || !self.has_earlier(event)
            }
            State::Waiting { is_due: true } => {
                let number = row.number;
                let blocks = |other: Row| match other.state {
                    State::Parked => false,
                    State::Waiting { is_due: false } if rules == Rules::BackoffFreesTheKey => false,
                    State::Running { .. } if rules != Rules::TakeIgnoresRunning => true,
                    _ => other.number < number,
                };
                !self.others(event).any(|(_, other)| blocks(other))
            }
        }
    }

    /// Takes an event that was chosen. `None`: the unique index has refused it.
    pub(super) fn take(&mut self, rules: Rules, event: usize, owner: usize) -> Option<Proof> {
        let is_taken = self.others(event).any(|(_, row)| matches!(row.state, State::Running { .. }));
        let row = self.rows[event].as_mut()?;
        row.locked = None;
        if is_taken && rules != Rules::NoUniqueIndex {
            return None;
        }
        row.state = State::Running { is_live: true };
        row.attempts += u8::from(rules != Rules::CountsAtTheEnd);
        row.token += u8::from(rules != Rules::TakeoverKeepsTheToken || row.token == 0);
        row.held = Some(Proof { owner, token: row.token });
        row.held
    }

    /// Parks an event that was chosen and has used up its attempts.
    pub(super) fn park_used_up(&mut self, event: usize) {
        if let Some(row) = &mut self.rows[event] {
            (row.state, row.locked) = (State::Parked, None);
        }
        self.free_next(event);
    }

    /// Carries out a step. Returns whether the worker held the event.
    pub(super) fn step(&mut self, rules: Rules, event: usize, proof: Proof, step: Step) -> bool {
        let Some(row) = &mut self.rows[event] else { return false };
        let is_proof = match rules {
            Rules::NoProof => true,
            Rules::OwnerAloneIsProof => row.held.is_some_and(|held| held.owner == proof.owner),
            _ => row.held == Some(proof),
        };
        if !is_proof || !matches!(row.state, State::Running { .. }) {
            return false;
        }
        match step {
            Step::Complete => {
                self.rows[event] = None;
                if rules == Rules::CompleteForgetsTheKey {
                    self.seen[event] = false;
                }
                self.free_next(event);
            }
            Step::BackOff if rules == Rules::BackoffDeletes => self.rows[event] = None,
            Step::BackOff => {
                row.attempts += u8::from(rules == Rules::CountsAtTheEnd);
                row.state = State::Waiting { is_due: false };
            }
            Step::Park => {
                row.state = State::Parked;
                self.free_next(event);
            }
            Step::Release => {
                row.attempts -= u8::from(rules != Rules::CountsAtTheEnd);
                row.state = State::Waiting { is_due: true };
            }
        }
        true
    }

    /// The next one of the key no longer waits for it.
    fn free_next(&mut self, event: usize) {
        let next = self.others(event).filter(|(_, row)| row.state != State::Parked);
        if let Some((next, _)) = next.min_by_key(|(_, row)| row.number) {
            self.free(next);
        }
    }

    fn free(&mut self, event: usize) {
        if let Some(row) = &mut self.rows[event]
            && row.state == State::Behind
        {
            row.state = State::Waiting { is_due: true };
        }
    }

    /// The first of a key that waits for one that is gone.
    pub(super) fn is_forgotten_head(&self, event: usize) -> bool {
        let row = self.rows[event];
        row.is_some_and(|row| row.state == State::Behind && !row.is_open) && !self.has_earlier(event)
    }

    pub(super) fn sweep(&mut self, rules: Rules) {
        if rules == Rules::NoSweep {
            return;
        }
        for event in 0..self.rows.len() {
            if self.is_forgotten_head(event) {
                self.free(event);
            }
        }
    }

    /// The database crashes: open transactions and locks are gone, and nothing else.
    pub(super) fn crash(&mut self) {
        for event in 0..self.rows.len() {
            if self.rows[event].is_some_and(|row| row.is_open) {
                (self.rows[event], self.seen[event]) = (None, false);
            } else if let Some(row) = &mut self.rows[event] {
                row.locked = None;
            }
        }
    }

    /// Time passes: leases and pauses end.
    pub(super) fn wait(&mut self) {
        for row in self.rows.iter_mut().flatten() {
            match &mut row.state {
                State::Waiting { is_due } => *is_due = true,
                State::Running { is_live } => *is_live = false,
                State::Parked | State::Behind => {}
            }
        }
    }
}
