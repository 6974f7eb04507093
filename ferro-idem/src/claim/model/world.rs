//! A state of the model: the store and the deliveries of one event.

use std::collections::BTreeSet;

use super::super::{ClaimOutcome, Ownership};
use super::store::{Rules, Store};
use crate::owner::Owner;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) deliveries: Vec<Delivery>,
    /// The last claim that the store granted since the row was inserted.
    pub(super) granted: Option<Ownership>,
    /// The fencing tokens under which the effect took place since the row was inserted, one bit each.
    pub(super) effects: u16,
    pub(super) breaches: BTreeSet<Breach>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Delivery {
    pub(super) stage: Stage,
    /// How often the store carried out its claim.
    pub(super) claims: u8,
    pub(super) late: Late,
}

/// A claim that was given up as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Late {
    Never,
    OnItsWay,
    Arrived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    Unsent,
    /// `is_retry`: an earlier attempt may have been carried out.
    Claiming {
        is_retry: bool,
    },
    /// Another delivery got the event. The next statement reads the event's state.
    Looking,
    Holding(Hold),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hold {
    pub(super) owner: u8,
    pub(super) token: u64,
    pub(super) step: Step,
    /// Whether the delivery believes, by its own clock, that it holds the event. Its clock ends the lease no
    /// later than the store's.
    pub(super) believes: bool,
    /// The row of this claim has been purged.
    pub(super) forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// The answer is on its way.
    Unanswered,
    Working,
    /// The effect has taken place.
    Done,
    GaveUp,
}

/// A broken promise about a step. Promises about states need no record, because they are checked in each
/// state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Breach {
    ZombieSettled,
    Unprocessed,
    TokenNotHigher,
    SameTokenTwice,
    AcknowledgedWithoutEffect,
    InItsOwnWay,
}

/// The owner of a delivery, which may claim as several owners.
pub(super) fn owner_of(delivery: usize, owner: u8) -> Owner {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&[u8::try_from(delivery).unwrap(), owner]);
    Owner::from_bytes(bytes)
}

pub(super) fn delivery_of(owner: Owner) -> usize {
    usize::from(owner.as_bytes()[0])
}

impl World {
    pub(super) fn hold_of(&self, delivery: usize) -> Option<(Ownership, Hold)> {
        match self.deliveries[delivery].stage {
            Stage::Holding(hold) => {
                Some((Ownership { owner: owner_of(delivery, hold.owner), token: hold.token }, hold))
            }
            _ => None,
        }
    }

    pub(super) fn holds(&self) -> impl Iterator<Item = (Ownership, Hold)> {
        (0..self.deliveries.len()).filter_map(|delivery| self.hold_of(delivery))
    }

    pub(super) fn beliefs(&self) -> impl Iterator<Item = Ownership> {
        self.holds().filter(|(_, hold)| hold.believes).map(|(held, _)| held)
    }

    pub(super) fn is_under_way(delivery: &Delivery) -> bool {
        match delivery.stage {
            Stage::Unsent | Stage::Ended => false,
            Stage::Claiming { .. } | Stage::Looking => true,
            Stage::Holding(hold) => hold.step != Step::GaveUp,
        }
    }

    /// Carries out a claim at the store, whether or not its delivery still waits for the answer.
    pub(super) fn claim(&mut self, rules: Rules, owner: Owner) -> ClaimOutcome {
        let outcome = self.store.claim(rules, owner);
        if let ClaimOutcome::Acquired { token } = outcome {
            let held = Ownership { owner, token };
            if self.granted.is_some_and(|before| before != held && before.token >= token) {
                self.breaches.insert(Breach::TokenNotHigher);
            }
            self.granted = Some(held);
        }
        outcome
    }

    /// Ends a delivery that did not get the event.
    pub(super) fn refuse(&mut self, delivery: usize, outcome: ClaimOutcome) {
        let holder = self.store.0.map(|row| delivery_of(row.held.owner));
        let is_busy = matches!(outcome, ClaimOutcome::InProgress { .. });
        // A late claim of the same delivery may block it. That is allowed, because its lease ends.
        if is_busy && holder == Some(delivery) && self.deliveries[delivery].late != Late::Arrived {
            self.breaches.insert(Breach::InItsOwnWay);
        }
        if outcome == ClaimOutcome::Processed && self.effects == 0 {
            self.breaches.insert(Breach::AcknowledgedWithoutEffect);
        }
        self.deliveries[delivery].stage = Stage::Ended;
    }

    /// Carries out a step of a claim at the store.
    pub(super) fn settle(&mut self, held: Ownership, step: impl FnOnce(&mut Store) -> bool) -> bool {
        let before = self.store;
        let settled = step(&mut self.store);
        if self.granted != Some(held) && (settled || self.store != before) {
            self.breaches.insert(Breach::ZombieSettled);
        }
        if before.is_processed() && !self.store.is_processed() {
            self.breaches.insert(Breach::Unprocessed);
        }
        settled
    }

    /// Ends the belief of the delivery whose lease has ended.
    pub(super) fn stop_believing(&mut self, over: Ownership) {
        for (i, delivery) in self.deliveries.iter_mut().enumerate() {
            if let Stage::Holding(hold) = &mut delivery.stage
                && (over == Ownership { owner: owner_of(i, hold.owner), token: hold.token })
            {
                hold.believes = false;
            }
        }
    }
}

/// An equivalent state with the deliveries in a canonical order, so that symmetric states are checked once.
pub(super) fn representative(world: &World) -> World {
    let mut same = world.clone();
    for delivery in &mut same.deliveries {
        if delivery.stage == Stage::Ended {
            delivery.claims = 0;
        }
    }
    let mut order: Vec<usize> = (0..world.deliveries.len()).collect();
    let is_of = |held: Option<Ownership>, i| held.is_some_and(|held| delivery_of(held.owner) == i);
    let held = world.store.0.map(|row| row.held);
    order.sort_by_key(|&i| (same.deliveries[i], is_of(held, i), is_of(world.granted, i)));
    let rename = |held: &mut Ownership| {
        let [delivery, owner, ..] = *held.owner.as_bytes();
        // A claim that was taken back has no owner.
        if let Some(place) = order.iter().position(|&i| i == usize::from(delivery)) {
            held.owner = owner_of(place, owner);
        }
    };
    same.deliveries = order.iter().map(|&i| same.deliveries[i]).collect();
    same.store.0.iter_mut().for_each(|row| rename(&mut row.held));
    same.granted.iter_mut().for_each(rename);
    // Only these effects matter: whether there was any, and those under a token that a delivery has or may
    // get again.
    let tokens = world.holds().map(|(held, _)| held.token).chain(world.granted.map(|held| held.token));
    let counts = tokens.fold(0, |bits, token| bits | (1 << token));
    same.effects = (world.effects & counts) | u16::from(world.effects != 0);
    same
}
