//! A state of the model: the tables, the senders and the workers.

use std::collections::BTreeSet;

use super::tables::{Proof, Rules, State, Step, Tables};

/// How an event comes into the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By `receive`.
    Receive,
    /// Inside a transaction of the application.
    Put,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) tables: Tables,
    pub(super) senders: Vec<Sender>,
    pub(super) workers: Vec<Worker>,
    /// Steps that their worker has given up, and that reach the store later.
    pub(super) late: Option<(usize, Proof, Step)>,
    /// By event: how often its row was inserted, how often a handler has begun and was not given back, and whether it
    /// has had its effect.
    pub(super) inserts: Vec<u8>,
    pub(super) begun: Vec<u8>,
    pub(super) effects: Vec<bool>,
    /// The token of the last take of each event.
    pub(super) granted: Vec<Option<Proof>>,
    pub(super) breaches: BTreeSet<Breach>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sender {
    pub(super) deliveries_left: u8,
    pub(super) delivery: Delivery,
    /// It was told that the event is in the inbox.
    pub(super) is_acknowledged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Delivery {
    Nothing,
    /// The statement has begun, and has seen whether the event follows another one of its key.
    Storing {
        follows: bool,
    },
    /// The key was stored, and the row not yet: only if that is not one transaction.
    HalfStored {
        follows: bool,
    },
    /// Stored, or found to be a duplicate. The answer is on its way.
    Stored,
    /// In a transaction of the application.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) takes_left: u8,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    /// The take has chosen and locked the event.
    Chosen(usize),
    /// The answer to the take is on its way.
    Taken(Hold),
    Running(Hold),
    /// The handler has had its effect.
    Done(Hold),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    pub(super) event: usize,
    pub(super) proof: Proof,
    /// By its own clock, which ends the lease no later than the store's.
    pub(super) believes: bool,
}

/// A broken promise about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Breach {
    StoredTwice,
    OutOfOrder,
    LateWorkerSettled,
    TokenNotHigher,
    TooManyAttempts,
    CompletedWithoutEffect,
}

impl World {
    pub(super) fn insert(&mut self, event: usize, follows: bool, is_open: bool) {
        self.inserts[event] += 1;
        if self.inserts[event] > 1 {
            self.breaches.insert(Breach::StoredTwice);
        }
        self.tables.insert(event, follows, is_open);
    }

    pub(super) fn hold_of(&self, worker: usize) -> Option<Hold> {
        match self.workers[worker].stage {
            Stage::Taken(hold) | Stage::Running(hold) | Stage::Done(hold) => Some(hold),
            Stage::Idle | Stage::Chosen(_) => None,
        }
    }

    pub(super) fn beliefs(&self) -> impl Iterator<Item = Hold> {
        (0..self.workers.len()).filter_map(|worker| self.hold_of(worker)).filter(|hold| hold.believes)
    }

    /// The database has given the event to a worker.
    pub(super) fn grant(&mut self, event: usize, proof: Proof) {
        if self.granted[event].is_some_and(|before| before.token >= proof.token) {
            self.breaches.insert(Breach::TokenNotHigher);
        }
        self.granted[event] = Some(proof);
    }

    /// Carries out a step at the store, whether or not its worker still waits for the answer.
    pub(super) fn settle(&mut self, rules: Rules, (event, proof, step): (usize, Proof, Step), is_late: bool) {
        let settled = self.tables.step(rules, event, proof, step);
        // A late step of the hold that the store still knows is that worker's own.
        let is_current = self.granted[event] == Some(proof) && !(is_late && self.is_held_again(event, proof));
        if settled && !is_current {
            self.breaches.insert(Breach::LateWorkerSettled);
        }
        if settled && step == Step::Complete && !self.effects[event] {
            self.breaches.insert(Breach::CompletedWithoutEffect);
        }
        if settled && step == Step::Release {
            self.begun[event] = self.begun[event].saturating_sub(1);
        }
    }

    /// Whether a worker believes in a hold with the same proof, which is another hold than the late step's.
    fn is_held_again(&self, event: usize, proof: Proof) -> bool {
        self.beliefs().any(|hold| hold.event == event && hold.proof == proof)
    }

    pub(super) fn stop_believing(&mut self, event: usize) {
        for worker in &mut self.workers {
            if let Stage::Taken(hold) | Stage::Running(hold) | Stage::Done(hold) = &mut worker.stage
                && hold.event == event
            {
                hold.believes = false;
            }
        }
    }

    /// The workers and receivers whose statements the database no longer knows.
    pub(super) fn crash_database(&mut self) {
        self.tables.crash();
        for worker in &mut self.workers {
            if matches!(worker.stage, Stage::Chosen(_)) {
                worker.stage = Stage::Idle;
            }
        }
        for (event, sender) in self.senders.iter_mut().enumerate() {
            if sender.delivery == Delivery::Open {
                sender.delivery = Delivery::Nothing;
                self.inserts[event] -= 1;
            }
        }
    }

    /// Whether workers that do nothing wrong can take every event that is not parked, after all leases and pauses.
    pub(super) fn can_finish(&self, rules: Rules) -> bool {
        let mut tables = self.tables.clone();
        tables.crash();
        for _ in 0..tables.rows.len() {
            tables.wait();
            tables.sweep(rules);
            for event in 0..tables.rows.len() {
                if tables.may_choose(rules, event)
                    && let Some(proof) = tables.take(rules, event, usize::MAX)
                {
                    tables.step(rules, event, proof, Step::Complete);
                }
            }
        }
        tables.rows.iter().flatten().all(|row| row.state == State::Parked)
    }
}
